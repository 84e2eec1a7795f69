import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CloseOptions, KeyStatus, LeasedKeys } from '../../common/etcd/lease.ts';
import { makeInstance } from '../../common/instance.ts';
import { createEtcdAnnouncer } from '../../nerve/announcer.ts';

const instance = makeInstance({ name: 'i', host: '10.0.0.1', port: 80, weight: 5 });

function fake() {
  const calls: unknown[][] = [];
  const keys = new Map<string, KeyStatus>();
  let closing: CloseOptions | undefined;
  const leased: LeasedKeys = {
    set: (...args) => void calls.push(['set', ...args]),
    unset: (...args) => void calls.push(['unset', ...args]),
    status: { leaseId: 'abc', held: true, lastError: 'slow', watching: null, keys },
    keyStatus: (key) => keys.get(key),
    settled: async () => {},
    close: async (options) => {
      closing = options;
    },
  };
  return { announcer: createEtcdAnnouncer(leased), calls, keys, closing: () => closing };
}

describe('createEtcdAnnouncer', () => {
  it('writes the record, and a farewell that says down', () => {
    const { announcer, calls } = fake();
    announcer.announce('/k', { ...instance, state: 'drain' });
    announcer.withdraw('/k', instance);
    assert.deepEqual(calls, [
      ['set', '/k', '{"host":"10.0.0.1","port":80,"name":"i","weight":5,"state":"drain"}'],
      ['unset', '/k', '{"host":"10.0.0.1","port":80,"name":"i","weight":5,"state":"down"}'],
    ]);
  });

  it('gives the same farewell when it closes, whatever the instance showed', async () => {
    const { announcer, closing } = fake();
    await announcer.close({ timeout: 1234, keep: true });
    assert.deepEqual([closing()?.timeout, closing()?.keep], [1234, true]);
    assert.equal(
      closing()?.farewell?.('/k', '{"host":"10.0.0.1","port":80,"name":"i","weight":5,"state":"drain"}'),
      '{"host":"10.0.0.1","port":80,"name":"i","weight":5,"state":"down"}',
    );
  });

  const statuses: readonly [
    status: KeyStatus | undefined,
    announced: boolean,
    reason: string | null,
    trouble: string | null,
  ][] = [
    [undefined, false, 'not asked for yet', null],
    [{ wanted: 'set', settled: true, reason: null }, true, null, null],
    [{ wanted: 'unset', settled: true, reason: null }, false, null, null],
    [{ wanted: 'set', settled: false, reason: 'etcd away' }, false, 'etcd away', 'etcd away'],
    [{ wanted: 'unset', settled: false, reason: null }, true, 'slow', 'slow'],
  ];
  for (const [status, announced, reason, trouble] of statuses) {
    it(`says ${announced ? 'announced' : 'not announced'} of ${JSON.stringify(status)}`, () => {
      const { announcer, keys } = fake();
      if (status !== undefined) keys.set('/k', status);
      assert.deepEqual(announcer.status('/k'), { announced, reason, trouble });
    });
  }
});
