import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import { createEtcdClient, type EtcdClient } from '../../../../common/etcd/client/client.ts';
import { createLeasedKeys } from '../../../../common/etcd/keys/leased-keys.ts';
import { relists } from '../../../../common/etcd/watch/metrics.ts';
import { createReflector, type Reflector } from '../../../../common/etcd/watch/reflector.ts';
import { contactLoss } from '../../../../common/etcd/watch/timing.ts';
import type { LocalCluster } from '../../../../etcd-cluster/members/local-cluster.ts';
import {
  directClient,
  dump,
  etcdVersions,
  portOf,
  put,
  remove,
  testCluster,
  testLog,
} from '../../../support/etcd/etcd.ts';
import { backUp, putBack } from '../../../support/etcd/restore.ts';
import { createRecorder } from '../../../support/etcd/watch-recorder.ts';
import { eventually, patienceMs } from '../../../support/eventually.ts';
import { type FaultProxy, startFaultProxy } from '../../../support/servers/fault-proxy.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

/** How often prefixes were listed again, by reason. */
const counted = async (): Promise<Readonly<Record<string, number>>> => {
  const { values } = await relists.get();
  return Object.fromEntries(values.map(({ labels, value }) => [labels.reason, value]));
};

interface Case {
  readonly title: string;
  /** Elections before the backup: each raises the term that a restored cluster begins with again. */
  readonly elections: number;
  /** What happens between the backup and the loss of contact. */
  readonly before: (client: EtcdClient) => Promise<unknown>;
  /** The copies are begun after that, and so with a list that is newer than the backup; else events show it. */
  readonly isListed: boolean;
  /** Why the prefix is listed again. */
  readonly reason: string;
}

const cases: readonly Case[] = [
  {
    title: 'a term that is lower than before',
    elections: 2,
    before: async () => {},
    isListed: true,
    reason: 'term-went-back',
  },
  {
    title: 'a key that has gone back to an older revision',
    elections: 0,
    before: (client) => put(client, '/r/a', 'after the backup'),
    isListed: false,
    reason: 'history-differs',
  },
  {
    title: 'a key that is back although it was deleted',
    elections: 0,
    before: (client) => remove(client, '/r/a'),
    isListed: false,
    reason: 'history-differs',
  },
  {
    title: 'the list that follows a loss of contact, when nothing else does',
    elections: 0,
    before: async () => {},
    isListed: true,
    reason: 'contact-lost',
  },
];

for (const version of etcdVersions) {
  describe(`etcd ${version} is put back with its old id, and has passed the revision that was known`, () => {
    let cluster: LocalCluster;
    let proxy: FaultProxy;
    let direct: EtcdClient;
    let end: AbortController;

    beforeEach(async () => {
      end = new AbortController();
      cluster = await testCluster(version, { size: 1 });
      proxy = await startFaultProxy(portOf(cluster.urls[0] as string));
      direct = directClient(cluster, end.signal);
    });
    afterEach(async () => {
      end.abort();
      await proxy.close();
      await cluster.stopAll();
    });

    /** Resolves when the copies were compared with the cluster while the watch was open. */
    const proven = (reflector: Reflector): Promise<void> =>
      eventually(() =>
        assert.ok((reflector.status.ageMs ?? Number.POSITIVE_INFINITY) < 1_000 && reflector.status.member),
      );

    for (const { title, elections, before, isListed, reason } of cases) {
      it(`is noticed by ${title}`, async (t) => {
        const folder = await tempFolder(t);
        for (let times = 0; times < elections; times += 1) await cluster.restartAll();
        for (const key of ['/r/a', '/r/gone', '/r/stays']) await put(direct, key, 'before the backup');
        await backUp(cluster, folder);
        const client = createEtcdClient({ hosts: [`127.0.0.1:${proxy.port}`] }, { log: testLog() }, end.signal);
        const reflector = createReflector(client, { log: testLog() }, end.signal);
        const recorder = createRecorder();
        const follow = (): unknown => reflector.follow('/r/', recorder.onChange, end.signal);
        if (!isListed) {
          void follow();
          await proven(reflector);
        }
        await before(direct);
        for (let times = 0; times < 20; times += 1) await put(direct, '/elsewhere', 'x');
        if (isListed) void follow();
        await eventually(async () => assert.deepEqual(recorder.values, await dump(direct, '/r/')));
        await proven(reflector);
        const known = Number(reflector.status.revision);
        const earlier = (await counted())[reason] ?? 0;
        await proxy.refuse();
        await putBack(cluster, folder);
        await remove(direct, '/r/gone');
        while ((await put(direct, '/elsewhere', 'y')) <= known);
        // Nobody restores a cluster in a shorter time than this: it is no loss of contact.
        await sleep(2 * contactLoss.restoreMs);
        await proxy.heal();
        await eventually(async () => assert.deepEqual(recorder.values, await dump(direct, '/r/')));
        assert.equal(recorder.values['/r/gone'], undefined);
        assert.ok(((await counted())[reason] ?? 0) > earlier, `${reason}: ${JSON.stringify(await counted())}`);
        // And the watch goes on from there.
        await put(direct, '/r/new', 'in the new history');
        await eventually(() => assert.equal(recorder.values['/r/new'], 'in the new history'));
      });
    }

    it('has the keys of their owner as they ought to be, also those that the backup brings back', async (t) => {
      const folder = await tempFolder(t);
      const client = createEtcdClient({ hosts: [`127.0.0.1:${proxy.port}`] }, { log: testLog() }, end.signal);
      const isTombstone = (value: string): boolean => value === 'down';
      const keys = createLeasedKeys(client, { ttlSeconds: 60, isTombstone }, { log: testLog() }, end.signal);
      const settled = (): Promise<void> => keys.settled(AbortSignal.timeout(patienceMs));
      for (const name of ['stays', 'leaves', 'changes']) keys.set(`/n/${name}`, 'before the backup');
      await settled();
      await eventually(() => assert.notEqual(keys.status.watching, null));
      await backUp(cluster, folder);
      keys.unset('/n/leaves', 'down');
      keys.set('/n/changes', 'after the backup');
      keys.set('/n/comes', 'after the backup');
      await settled();
      await proxy.refuse();
      await putBack(cluster, folder);
      for (let times = 0; times < 20; times += 1) await put(direct, '/elsewhere', 'x');
      assert.equal((await dump(direct, '/n/'))['/n/leaves'], 'before the backup');
      await proxy.heal();
      await eventually(async () => {
        const { '/n/leaves': left = 'down', ...others } = await dump(direct, '/n/');
        const after = 'after the backup';
        assert.deepEqual(others, { '/n/changes': after, '/n/comes': after, '/n/stays': 'before the backup' });
        assert.equal(left, 'down');
      });
    });
  });
}
