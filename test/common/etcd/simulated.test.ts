import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { createEtcdClient } from '../../../common/etcd/client/client.ts';
import { createLeasedKeys } from '../../../common/etcd/keys/leased-keys.ts';
import { createReflector } from '../../../common/etcd/watch/reflector.ts';
import { testLog } from '../../support/etcd/etcd.ts';
import { SimulatedEtcd } from '../../support/etcd/simulated-etcd.ts';
import { assertSound, createRecorder } from '../../support/etcd/watch-recorder.ts';
import { eventually } from '../../support/eventually.ts';

const prefix = '/nerve/services/api/';

/** One process that holds keys and one that follows them, over a simulated etcd of three members. */
async function start(t: TestContext) {
  const etcd = new SimulatedEtcd();
  const ended = new AbortController();
  t.after(() => ended.abort());
  const deps = { log: testLog(), dial: etcd.dial };
  const connect = () => createEtcdClient({ hosts: ['a', 'b', 'c'] }, deps, ended.signal);
  const client = connect();
  const keys = createLeasedKeys(client, { ttlSeconds: 10 }, deps, ended.signal);
  const reflector = createReflector(connect(), deps, ended.signal);
  const recorder = createRecorder();
  void reflector.follow(prefix, recorder.onChange, ended.signal);
  await eventually(() => assert.notEqual(reflector.status.member, null));
  const settled = (): Promise<void> => keys.settled(AbortSignal.timeout(10_000));
  return { etcd, client, keys, reflector, recorder, settled };
}

describe('leased keys and a reflector over a simulated etcd', () => {
  it('set, replace and withdraw a key, and pass on every change', async (t) => {
    const { etcd, keys, recorder, settled } = await start(t);
    keys.set(`${prefix}1`, 'up');
    await settled();
    keys.set(`${prefix}1`, 'drain');
    await settled();
    keys.unset(`${prefix}1`, 'down');
    await settled();
    await eventually(() => assert.deepEqual(recorder.deletes, [`${prefix}1`]));
    assert.deepEqual(recorder.puts, ['up', 'drain', 'down']);
    assert.deepEqual(etcd.values, {});
    assertSound(recorder);
  });

  it('put a key again that was deleted, and all keys when their lease ends', async (t) => {
    const { etcd, keys, recorder, settled } = await start(t);
    for (const name of ['1', '2', '3']) keys.set(prefix + name, 'up');
    await settled();
    await eventually(() => assert.notEqual(keys.status.watching, null));
    const all = etcd.values;
    etcd.remove(`${prefix}2`);
    await eventually(() => assert.deepEqual(etcd.values, all));
    await settled();
    etcd.expireAll();
    await eventually(() => assert.deepEqual(etcd.values, all));
    await eventually(() => assert.deepEqual(recorder.values, all));
    assertSound(recorder);
  });

  it('write a key although the handler of what was found under it throws', async (t) => {
    const etcd = new SimulatedEtcd();
    const ended = new AbortController();
    t.after(() => ended.abort());
    const deps = { log: testLog(), dial: etcd.dial };
    const client = createEtcdClient({ hosts: ['a'] }, deps, ended.signal);
    etcd.put(`${prefix}1`, 'left by a predecessor');
    const found: string[] = [];
    const onFound = (_: string, value: string): void => {
      found.push(value);
      throw new Error('a fault of the owner');
    };
    const keys = createLeasedKeys(client, { ttlSeconds: 10, onFound }, deps, ended.signal);
    keys.set(`${prefix}1`, 'up');
    await keys.settled(AbortSignal.timeout(10_000));
    assert.deepEqual([etcd.values, found], [{ [`${prefix}1`]: 'up' }, ['left by a predecessor']]);
  });

  it('go on over another member when theirs is down', async (t) => {
    const { etcd, client, keys, reflector, recorder, settled } = await start(t);
    keys.set(`${prefix}1`, 'up');
    await settled();
    for (const url of new Set([client.status.member, reflector.status.member ?? ''])) etcd.takeDown(url);
    keys.set(`${prefix}1`, 'drain');
    await settled();
    await eventually(() => assert.deepEqual(recorder.puts, ['up', 'drain']));
    assert.deepEqual(recorder.deletes, []);
    assertSound(recorder);
  });

  it('keep what they know while every member is down, and go on when one is back', async (t) => {
    const { etcd, client, keys, recorder, settled } = await start(t);
    keys.set(`${prefix}1`, 'up');
    await settled();
    await eventually(() => assert.deepEqual(recorder.puts, ['up']));
    for (const url of client.hosts) etcd.takeDown(url);
    keys.set(`${prefix}1`, 'drain');
    await eventually(() => assert.notEqual(keys.keyStatus(`${prefix}1`)?.reason, null));
    assert.deepEqual(recorder.values, { [`${prefix}1`]: 'up' });
    etcd.bringUp(client.hosts[1] as string);
    await settled();
    await eventually(() => assert.deepEqual(recorder.values, { [`${prefix}1`]: 'drain' }));
    assertSound(recorder);
  });
});
