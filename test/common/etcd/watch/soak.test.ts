import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import { createEtcdClient } from '../../../../common/etcd/client/client.ts';
import { createLeasedKeys } from '../../../../common/etcd/keys/leased-keys.ts';
import { createReflector } from '../../../../common/etcd/watch/reflector.ts';
import {
  compact,
  directClient,
  dump,
  etcdVersions,
  portOf,
  put,
  remove,
  testCluster,
  testLog,
} from '../../../support/etcd/etcd.ts';
import { injectFaults } from '../../../support/etcd/faults.ts';
import { assertSame, assertSound, createRecorder } from '../../../support/etcd/watch-recorder.ts';
import { eventually, patienceMs } from '../../../support/eventually.ts';
import { seededRandom } from '../../../support/random.ts';
import { startFaultProxy } from '../../../support/servers/fault-proxy.ts';

/** `SOAK_SECONDS` makes it longer; `SOAK_SEED` repeats the faults of a run. */
const seconds = Number(process.env.SOAK_SECONDS ?? 30);
const seed = Number(process.env.SOAK_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Changes that reach the watch before the faults end. */
const enoughPuts = seconds * 10;
const prefix = '/soak/';

describe('under random faults', () => {
  for (const version of etcdVersions) {
    it(`every key reaches its desired state on etcd ${version}`, async (t) => {
      t.diagnostic(`SOAK_SEED=${seed}`);
      const random = seededRandom(seed);
      const end = new AbortController();
      const over = new AbortController();
      const cluster = await testCluster(version);
      const proxies = await Promise.all(cluster.urls.map((url) => startFaultProxy(portOf(url))));
      try {
        const hosts = proxies.map(({ port }) => `127.0.0.1:${port}`);
        const client = createEtcdClient({ hosts }, { log: testLog() }, end.signal);
        const reflector = createReflector(client, { log: testLog() }, end.signal);
        const recorder = createRecorder();
        void reflector.follow(prefix, recorder.onChange, end.signal);
        const keys = createLeasedKeys(client, { ttlSeconds: 20 }, { log: testLog() }, end.signal);

        const writers = [1, 2, 3, 4].map(async (writer) => {
          // Past the proxies: writing must not depend on what is watched.
          const direct = directClient(cluster, end.signal);
          let older: string | undefined;
          for (let index = 0; !over.signal.aborted; index += 1) {
            const key = `${prefix}${writer}-${index}`;
            await put(direct, key, key);
            // Three quarters of the keys are deleted some time later. No key is used twice.
            if (older !== undefined && index % 4 !== 0) await remove(direct, older);
            older = key;
            await sleep(15);
          }
        });
        const announcing = (async () => {
          for (let index = 0; !over.signal.aborted; index += 1) {
            keys.set(`${prefix}leased-${index}`, `announced ${index}`);
            if (index >= 5) keys.unset(`${prefix}leased-${index - 5}`, 'tombstone');
            await sleep(300);
          }
          return keys;
        })();

        const direct = directClient(cluster, end.signal);
        // For the time given, and longer on a slow machine: until there were enough changes to be worth a soak.
        const stop = setTimeout(async () => {
          while (!end.signal.aborted && recorder.puts.length < enoughPuts) await sleep(100, end.signal);
          over.abort();
        }, seconds * 1_000);
        const targets = { cluster, proxies, compact: () => compact(direct) };
        const counts = await injectFaults(targets, random, over.signal);
        clearTimeout(stop);
        await Promise.all([...writers, announcing]);
        await cluster.ready();

        await keys.settled(AbortSignal.timeout(patienceMs));
        t.diagnostic(JSON.stringify(reflector.status));
        await eventually(async () => assertSame(recorder.values, await dump(direct, prefix)));
        assertSound(recorder);
        const wanted = [...keys.status.keys].filter(([, key]) => key.desired === 'set').map(([key]) => key);
        for (const key of wanted) assert.match(recorder.values[key] ?? 'missing', /^announced/);
        const leased = Object.entries(recorder.values).filter(([key]) => key.includes('leased'));
        const announced = leased.filter(([, value]) => value !== 'tombstone').map(([key]) => key);
        assert.deepEqual(announced.sort(), wanted.sort());
        assert.ok(recorder.puts.length >= enoughPuts, `${recorder.puts.length} puts`);
        t.diagnostic(`${recorder.puts.length} puts, ${recorder.deletes.length} deletes; ${JSON.stringify(counts)}`);
      } finally {
        over.abort();
        end.abort();
        for (const proxy of proxies) await proxy.close();
        await cluster.stopAll();
      }
    });
  }
});
