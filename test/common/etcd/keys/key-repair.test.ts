import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import type { EtcdClient } from '../../../../common/etcd/client/client.ts';
import { requests } from '../../../../common/etcd/client/metrics.ts';
import { createLeasedKeys, type LeasedKeys } from '../../../../common/etcd/keys/leased-keys.ts';
import { createReflector } from '../../../../common/etcd/watch/reflector.ts';
import {
  compact,
  directClient,
  dump,
  etcdVersions,
  put,
  remove,
  testLog,
  withRpc,
} from '../../../support/etcd/etcd.ts';
import { type ProxiedCluster, startProxiedCluster } from '../../../support/etcd/proxied-cluster.ts';
import { createRecorder } from '../../../support/etcd/watch-recorder.ts';
import { eventually, patienceMs } from '../../../support/eventually.ts';

/** Longer than any of these tests: repairs are not found by reading. */
const never = 600_000;

for (const version of etcdVersions) {
  describe(`the repair of own keys on etcd ${version}`, () => {
    let stack: ProxiedCluster;
    let one = new AbortController();
    let cases = 0;

    before(async () => {
      stack = await startProxiedCluster(version);
    });

    afterEach(async () => {
      one.abort();
      one = new AbortController();
      await stack.heal();
    });

    after(() => stack?.close());

    /** Keys under a lease so long that no keepalive notices its loss either. */
    const hold = (options: { readonly client?: EtcdClient; readonly verifyEveryMs?: number } = {}) => {
      const { client = stack.client(one.signal), verifyEveryMs = never } = options;
      return createLeasedKeys(client, { ttlSeconds: 120, verifyEveryMs }, { log: testLog() }, one.signal);
    };

    const nextPrefix = (): string => `/repair/${++cases}/`;
    const watched = (keys: LeasedKeys): Promise<void> => eventually(() => assert.notEqual(keys.status.watching, null));
    const settled = (keys: LeasedKeys): Promise<void> => keys.settled(AbortSignal.timeout(patienceMs));

    const record = async (prefix: string) => {
      const reflector = createReflector(directClient(stack.cluster, one.signal), { log: testLog() }, one.signal);
      const recorder = createRecorder();
      void reflector.follow(prefix, recorder.onChange, one.signal);
      await eventually(() => assert.notEqual(reflector.status.member, null));
      return recorder;
    };

    const revoke = (leaseId: string | null): Promise<unknown> =>
      stack.direct.call((rpc) => rpc.lease.leaseRevoke({ ID: BigInt(`0x${leaseId}`).toString() }));

    /** Watchers or watch streams open on all members. */
    const openOnEtcd = async (what: 'watcher' | 'watch_stream'): Promise<number> => {
      const counts = stack.cluster.urls.map(async (url) => {
        const text = await (await fetch(`${url}/metrics`)).text();
        return Number(new RegExp(`^etcd_debugging_mvcc_${what}_total (\\d+)`, 'm').exec(text)?.[1]);
      });
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    };

    it('puts a deleted key again as soon as the watch shows the delete', async () => {
      const prefix = nextPrefix();
      const keys = hold();
      keys.set(`${prefix}a`, '1');
      await settled(keys);
      await watched(keys);
      const { leaseId } = keys.status;
      await remove(stack.direct, `${prefix}a`);
      await eventually(async () => assert.deepEqual(await dump(stack.direct, prefix), { [`${prefix}a`]: '1' }));
      assert.equal(keys.status.leaseId, leaseId);
    });

    it('puts an overwritten key again', async () => {
      const prefix = nextPrefix();
      const keys = hold();
      keys.set(`${prefix}a`, '1');
      await settled(keys);
      await watched(keys);
      await put(stack.direct, `${prefix}a`, 'edited');
      await eventually(async () => assert.deepEqual(await dump(stack.direct, prefix), { [`${prefix}a`]: '1' }));
    });

    it('puts all keys again, each once, when their lease is revoked', async () => {
      const prefix = nextPrefix();
      const keys = hold();
      const names = Array.from({ length: 50 }, (_, index) => `${prefix}${index}`);
      for (const name of names) keys.set(name, 'up');
      await settled(keys);
      await watched(keys);
      const recorder = await record(prefix);
      const { leaseId } = keys.status;
      await revoke(leaseId);
      await eventually(() => assert.equal(recorder.puts.length, 100));
      await settled(keys);
      assert.notEqual(keys.status.leaseId, leaseId);
      assert.equal(recorder.deletes.length, 50);
      assert.equal(Object.keys(recorder.values).length, 50);
    });

    it('watches the keys of many services over one stream, with one watcher each', async () => {
      const [streams, watchers] = [await openOnEtcd('watch_stream'), await openOnEtcd('watcher')];
      const keys = hold();
      const names = Array.from({ length: 200 }, (_, index) => `${nextPrefix()}${index}`);
      for (const name of names) keys.set(name, 'up');
      await settled(keys);
      await eventually(async () => assert.equal((await openOnEtcd('watcher')) - watchers, 200));
      assert.equal((await openOnEtcd('watch_stream')) - streams, 1);
      for (const name of names.slice(50)) keys.unset(name);
      await settled(keys);
      await eventually(async () => assert.equal((await openOnEtcd('watcher')) - watchers, 50));
    });

    it('repairs what happened while the connection was cut, and what happens after', async () => {
      const prefix = nextPrefix();
      const keys = hold();
      for (const name of ['a', 'b', 'c']) keys.set(prefix + name, 'up');
      await settled(keys);
      await watched(keys);
      const all = { [`${prefix}a`]: 'up', [`${prefix}b`]: 'up', [`${prefix}c`]: 'up' };
      for (const proxy of stack.proxies) await proxy.refuse();
      await eventually(() => assert.equal(keys.status.watching, null));
      await remove(stack.direct, `${prefix}a`);
      await put(stack.direct, `${prefix}b`, 'edited');
      await compact(stack.direct);
      for (const proxy of stack.proxies) await proxy.heal();
      await eventually(async () => assert.deepEqual(await dump(stack.direct, prefix), all));
      await watched(keys);
      await remove(stack.direct, `${prefix}c`);
      await eventually(async () => assert.deepEqual(await dump(stack.direct, prefix), all));
    });

    it('repairs keys by reading while they cannot be watched', async () => {
      const prefix = nextPrefix();
      const watch = { watch: () => Promise.reject(new Error('no watch')) } as never;
      const blind = withRpc(stack.client(one.signal), (rpc) => ({ ...rpc, watch }));
      const keys = hold({ client: blind, verifyEveryMs: 300 });
      keys.set(`${prefix}a`, '1');
      await settled(keys);
      await remove(stack.direct, `${prefix}a`);
      await eventually(async () => assert.deepEqual(await dump(stack.direct, prefix), { [`${prefix}a`]: '1' }));
      assert.equal(keys.status.watching, null);
    });

    it('slows down when another process overwrites a key again and again', async () => {
      const prefix = nextPrefix();
      const keys = hold({ verifyEveryMs: 10_000 });
      keys.set(`${prefix}a`, 'ours');
      await settled(keys);
      await watched(keys);
      const reflector = createReflector(directClient(stack.cluster, one.signal), { log: testLog() }, one.signal);
      let ours = 0;
      let theirs = 0;
      const overwrite = (value: string | undefined): void => {
        if (value !== 'ours' || one.signal.aborted) return;
        ours += 1;
        theirs += 1;
        put(stack.direct, `${prefix}a`, `theirs ${theirs}`).catch(() => {});
      };
      void reflector.follow(
        prefix,
        ({ entries }) => overwrite(entries.get(`${prefix}a`)?.value.toString()),
        one.signal,
      );
      await sleep(4_000);
      // Two programs that answer each other at once manage hundreds in this time.
      assert.ok(ours >= 2 && ours < 40, `${ours} writes of ours`);
    });

    if (version !== '3.4') {
      it('reads rarely while it watches', async () => {
        const keys = hold({ verifyEveryMs: 400 });
        keys.set(`${nextPrefix()}a`, '1');
        await settled(keys);
        await watched(keys);
        await eventually(() => assert.notEqual(stack.direct.status.version, null));
        const reads = async (): Promise<number> =>
          (await requests.get()).values
            .filter(({ labels }) => labels.method === 'txn')
            .reduce((sum, { value }) => sum + value, 0);
        const before = await reads();
        await sleep(1_500);
        assert.ok((await reads()) - before <= 1, 'it reads as often as without a watch');
      });
    }
  });
}
