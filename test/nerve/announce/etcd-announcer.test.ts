import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sleep } from '../../../common/async/sleep.ts';
import type { CloseOptions, KeyStatus, LeasedKeys, LeasedKeysOptions } from '../../../common/etcd/keys/leased-keys.ts';
import { makeInstance } from '../../../common/instance.ts';
import type { OnLeftover } from '../../../nerve/announce/announcer.ts';
import { EtcdAnnouncer } from '../../../nerve/announce/etcd-announcer.ts';

const instance = makeInstance({ name: 'i', host: '10.0.0.1', port: 80, weight: 5 });

const record = '"host":"10.0.0.1","port":80,"name":"i","weight":5';
const time = /"announced_at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"/;

function fake(onLeftover: OnLeftover = () => {}) {
  const calls: [what: string, key: string, value: string][] = [];
  const forgotten: string[] = [];
  const keys = new Map<string, KeyStatus>();
  let closing: CloseOptions | undefined;
  let onFound: (key: string, value: string) => void = () => assert.fail('not held yet');
  const leased: LeasedKeys = {
    set: (key, value) => void calls.push(['set', key, value]),
    unset(key, tombstone = '', { forget = false } = {}) {
      calls.push(['unset', key, tombstone]);
      if (forget) forgotten.push(key);
    },
    status: { leaseId: 'abc', held: true, reason: 'slow', watching: null, rivals: [], keys },
    keyStatus: (key) => keys.get(key),
    settled: async () => {},
    close: async (options) => {
      closing = options;
    },
  };
  let isTombstone: (value: string) => boolean = () => assert.fail('not held yet');
  const createKeys = (options: Pick<LeasedKeysOptions, 'onFound' | 'isTombstone'>): LeasedKeys => {
    ({ onFound = onFound, isTombstone = isTombstone } = options);
    return leased;
  };
  const announcer = new EtcdAnnouncer({ createKeys, onLeftover });
  return { announcer, calls, forgotten, keys, closing: () => closing, onFound, isTombstone };
}

/** The calls with `now` in place of the times, which must be current. */
function timeless(calls: readonly (readonly [string, string, string])[]): unknown[] {
  return calls.map(([what, key, value]) => {
    const at = Date.parse(time.exec(value)?.[1] ?? '');
    assert.ok(Math.abs(Date.now() - at) < 60_000, value);
    return [what, key, value.replace(time, '"announced_at":"now"')];
  });
}

describe('EtcdAnnouncer', () => {
  it('writes the record and, for a withdrawal, a tombstone with state down, each with its time', () => {
    const { announcer, calls } = fake();
    announcer.announce('/k', { ...instance, state: 'drain' });
    announcer.withdraw('/k', instance);
    assert.deepEqual(timeless(calls), [
      ['set', '/k', `{${record},"state":"drain","announced_at":"now"}`],
      ['unset', '/k', `{${record},"state":"down","announced_at":"now"}`],
    ]);
  });

  it('keeps the time of a record that does not change', async () => {
    const { announcer, calls } = fake();
    announcer.announce('/k', instance);
    announcer.withdraw('/gone', instance);
    await sleep(5);
    announcer.announce('/k', instance);
    announcer.withdraw('/gone', instance);
    assert.deepEqual([calls[2]?.[2], calls[3]?.[2]], [calls[0]?.[2], calls[1]?.[2]]);
    announcer.announce('/k', { ...instance, state: 'drain' });
    assert.notEqual(time.exec(calls[4]?.[2] ?? '')?.[1], time.exec(calls[0]?.[2] ?? '')?.[1]);
  });

  it('forgets a key when asked, and gives it a new time later', async () => {
    const { announcer, calls, forgotten } = fake();
    announcer.announce('/k', instance);
    announcer.withdraw('/other', instance);
    announcer.withdraw('/k', instance, { forget: true });
    assert.deepEqual(forgotten, ['/k']);
    await sleep(5);
    announcer.withdraw('/k', instance);
    assert.notEqual(calls[3]?.[2], calls[2]?.[2]);
  });

  const moves: readonly [
    title: string,
    to: string,
    state: 'up' | 'down',
    options: { forget?: boolean },
    says: boolean,
  ][] = [
    ['to a deeper key', '/services/api/eu/i_10.0.0.1:80', 'up', { forget: true }, false],
    ['to a key one level up', '/services/i_10.0.0.1:80', 'up', { forget: true }, true],
    ['to another service', '/services/api2/i_10.0.0.1:80', 'up', { forget: true }, true],
    ['to another id', '/services/api/eu/i_10.0.0.1:81', 'up', { forget: true }, true],
    ['to a deeper key that says down', '/services/api/eu/i_10.0.0.1:80', 'down', { forget: true }, true],
    ['nowhere, because its check fails', '/services/api/eu/i_10.0.0.1:80', 'up', {}, true],
  ];
  for (const [title, to, state, options, says] of moves) {
    it(`${says ? 'leaves a tombstone' : 'deletes the old key, which would say down of the new one,'} when an instance moves ${title}`, () => {
      const { announcer, calls } = fake();
      const from = '/services/api/i_10.0.0.1:80';
      announcer.announce(from, instance);
      announcer.announce(to, { ...instance, state });
      announcer.withdraw(from, instance, options);
      const [what, key, tombstone] = calls.at(-1) ?? [];
      assert.deepEqual([what, key, tombstone !== ''], ['unset', from, says]);
    });
  }

  const predecessors: readonly [sentence: string, value: string, kept: boolean][] = [
    ['the same record', `{${record},"announced_at":"2026-01-01T00:00:00.000Z"}`, true],
    ['the same record of a version that wrote no times', `{${record}}`, true],
    ['a record with another state', `{${record},"state":"drain","announced_at":"2026-01-01T00:00:00.000Z"}`, false],
    ['the same record with an unknown field', `{${record},"more":1,"announced_at":"2026-01-01T00:00:00.000Z"}`, false],
    ['the same record with an invalid time', `{${record},"announced_at":"yesterday"}`, false],
    ['a value that is not a record', 'what?', false],
  ];
  for (const [sentence, value, kept] of predecessors) {
    it(`${kept ? 'keeps' : 'overwrites'} the value of an earlier process: ${sentence}`, () => {
      const { announcer, calls, onFound } = fake();
      announcer.announce('/k', instance);
      onFound('/k', value);
      assert.deepEqual(calls.slice(1), kept ? [['set', '/k', value]] : []);
    });
  }

  it('reports a leftover record before it compares it, so that a drain goes on', () => {
    const value = `{${record},"state":"drain","announced_at":"2026-01-01T00:00:00.000Z"}`;
    const { announcer, calls, onFound } = fake((key, found) => announcer.announce(key, found));
    announcer.announce('/k', instance);
    onFound('/k', value);
    assert.deepEqual(calls.at(-1), ['set', '/k', value]);
  });

  it('takes the tombstone of an earlier process over as a tombstone', () => {
    const value = `{${record},"state":"down","announced_at":"2026-01-01T00:00:00.000Z"}`;
    const { announcer, calls, onFound } = fake();
    announcer.withdraw('/k', instance);
    onFound('/k', value);
    assert.deepEqual(calls.slice(1), [['unset', '/k', value]]);
  });

  it('knows a tombstone, whoever wrote it', () => {
    const { isTombstone } = fake();
    const values = [`{${record},"state":"down","more":1}`, `{${record}}`, `{${record},"state":"drain"}`, 'what?'];
    assert.deepEqual(values.map(isTombstone), [true, false, false, false]);
  });

  it('writes the same tombstone when it closes, whatever the record was', async () => {
    const { announcer, closing } = fake();
    await announcer.close({ timeoutMs: 1234, keep: true });
    assert.deepEqual([closing()?.timeoutMs, closing()?.keep], [1234, true]);
    const tombstone = closing()?.tombstone?.('/k', `{${record},"state":"drain"}`) ?? '';
    assert.deepEqual(timeless([['', '', tombstone]]), [['', '', `{${record},"state":"down","announced_at":"now"}`]]);
  });

  const statuses: readonly [
    status: KeyStatus | undefined,
    announced: boolean,
    reason: string | null,
    error: string | null,
  ][] = [
    [undefined, false, 'not requested yet', null],
    [{ desired: 'set', settled: true, reason: null, isOthers: false }, true, null, null],
    [{ desired: 'unset', settled: true, reason: null, isOthers: false }, false, null, null],
    [{ desired: 'set', settled: false, reason: 'etcd away', isOthers: false }, false, 'etcd away', 'etcd away'],
    [{ desired: 'unset', settled: false, reason: null, isOthers: false }, true, 'slow', 'slow'],
  ];
  for (const [status, announced, reason, error] of statuses) {
    it(`says ${announced ? 'announced' : 'not announced'} of ${JSON.stringify(status)}`, () => {
      const { announcer, keys } = fake();
      if (status !== undefined) keys.set('/k', status);
      assert.deepEqual(announcer.status('/k'), { announced, reason, error });
    });
  }
});
