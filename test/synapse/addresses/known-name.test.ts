import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failed, found, isWaiting, nextLookupMs, unknownName } from '../../../synapse/addresses/known-name.ts';

const seed = 'host-1';
const several = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
const take = (addresses: readonly string[], known = unknownName) => found(known, 'web.test', { addresses, seed });

describe('a host name', () => {
  it('waits until the first answer, good or bad', () => {
    assert.ok(isWaiting(unknownName));
    assert.ok(!isWaiting(take(['10.0.0.1'])));
    assert.ok(!isWaiting(failed(unknownName, 'no')));
  });

  it('keeps its address as long as that is among the answers, in whatever order they come', () => {
    const first = take(several);
    for (const answer of [[...several].reverse(), [String(first.address), '10.9.9.9'], ['10.0.0.0', ...several]]) {
      assert.equal(take(answer, first).address, first.address);
    }
  });

  it('takes one of the new addresses when its own is gone', () => {
    assert.equal(take(['10.0.0.9'], take(several)).address, '10.0.0.9');
  });

  it('takes the same of several addresses whenever it is asked, and hosts differ in it', () => {
    const chosen = Array.from({ length: 40 }, (_, host) => {
      const how = { addresses: several, seed: `host-${host}` };
      const one = found(unknownName, 'web.test', how).address;
      assert.equal(found(unknownName, 'web.test', { ...how, addresses: [...several].reverse() }).address, one);
      return one;
    });
    assert.deepEqual(new Set(chosen), new Set(several));
  });

  it('keeps its address while lookups fail, with the reason, until one succeeds', () => {
    const known = failed(failed(take(['10.0.0.1']), 'first'), 'second');
    assert.deepEqual(known, { address: '10.0.0.1', reason: 'second', failures: 2 });
    assert.deepEqual(take(['10.0.0.1'], known), { address: '10.0.0.1', reason: null, failures: 0 });
  });

  const waits: readonly (readonly [what: string, failures: number, ttl: number, least: number, most: number])[] = [
    ['no time to live', 0, 0, 7_000, 9_000],
    ['a time to live of 60 s', 0, 60, 42_000, 54_000],
    ['a time to live of a day', 0, 86_400, 210_000, 270_000],
    ['an endless time to live', 0, Number.POSITIVE_INFINITY, 210_000, 270_000],
    ['one failure', 1, 60, 500, 1_000],
    ['three failures', 3, 60, 2_000, 4_000],
    ['a thousand failures', 1_000, 60, 15_000, 30_000],
  ];
  for (const [what, failures, ttl, least, most] of waits) {
    it(`is looked up again ${least / 1000} to ${most / 1000} s after ${what}`, () => {
      const known = { ...unknownName, failures };
      assert.equal(nextLookupMs(known, ttl, 0), least);
      assert.equal(nextLookupMs(known, ttl, 1), most);
    });
  }
});
