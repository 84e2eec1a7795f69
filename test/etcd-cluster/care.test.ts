import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { after, afterEach, before, describe, it } from 'node:test';
import type { EtcdClient } from '../../common/etcd/client/client.ts';
import { createLeasedKeys, type LeasedKeys } from '../../common/etcd/keys/leased-keys.ts';
import { createReflector } from '../../common/etcd/watch/reflector.ts';
import type { LocalCluster } from '../../etcd-cluster/members/local-cluster.ts';
import type { LocalMember } from '../../etcd-cluster/members/member.ts';
import { pageBlock, runBlock } from '../support/docs/pages.ts';
import { directClient, dump, etcdProgram, testCluster, testLog } from '../support/etcd/etcd.ts';
import { assertSound, createRecorder } from '../support/etcd/watch-recorder.ts';
import { eventually } from '../support/eventually.ts';

/** Runs commands of etcd-cluster/README.md while one client announces a key and another follows it. */
describe('etcd-cluster/README.md on running a cluster', () => {
  let cluster: LocalCluster;
  let client: EtcdClient;
  let keys: LeasedKeys;
  let recorder: ReturnType<typeof createRecorder>;
  let one: AbortController;
  const all = new AbortController();

  const begin = (prefix: string): void => {
    one = new AbortController();
    client = directClient(cluster, one.signal);
    recorder = createRecorder();
    keys = createLeasedKeys(client, { ttlSeconds: 10 }, { log: testLog() }, one.signal);
    void createReflector(client, { log: testLog() }, one.signal).follow(prefix, recorder.onChange, one.signal);
  };
  /** Writes a value and waits until the watch has it. */
  const change = async (key: string, value: string): Promise<void> => {
    keys.set(key, value);
    await eventually(() => assert.equal(recorder.values[key], value));
  };
  const run = async (has: RegExp, env: NodeJS.ProcessEnv = {}): Promise<string> =>
    runBlock(await pageBlock(has), { ETCDCTL_ENDPOINTS: cluster.urls.join(), ...env }, tmpdir());

  before(async () => {
    cluster = await testCluster('3.5', { flags: ['--quota-backend-bytes=8388608'] });
  });
  afterEach(() => one?.abort());
  after(async () => {
    all.abort();
    await cluster?.stopAll();
  });

  it('has commands that show the health of the members', async () => {
    begin('/look/');
    const shown = await run(/endpoint health/);
    assert.equal(shown.match(/is healthy/g)?.length, 3);
    assert.equal(shown.match(/ 3\.5\.\d+ /g)?.length, 3);
  });

  it('has commands that replace a lost member', async () => {
    begin('/replace/');
    await change('/replace/a', '1');
    const lost = cluster.members[2] as LocalMember;
    await lost.kill();
    await rm(lost.folder, { recursive: true });
    await change('/replace/a', '2');
    const others = { ETCDCTL_ENDPOINTS: cluster.urls.slice(0, 2).join() };
    await run(/member remove/, { ...others, LOST: lost.name });
    const env = { ...others, NEW: lost.name, NEW_PEER_URL: `http://127.0.0.1:${lost.peerPort}` };
    await eventually(async () => void (await run(/member add/, env)));
    await lost.start(undefined, { flags: ['--initial-cluster-state=existing'] });
    await cluster.ready();
    await change('/replace/a', '3');
    const only = directClient({ urls: [lost.url] }, one.signal);
    await eventually(async () => assert.deepEqual(await dump(only, '/replace/'), { '/replace/a': '3' }));
    assertSound(recorder);
  });

  // The last test: a member that joins later reads the whole log, and may be full again.
  it('has commands that free space in a full etcd, after which keys are announced without a restart', async () => {
    begin('/full/');
    await change('/full/a', '1');
    const value = randomBytes(512 * 1024);
    const fill = async (): Promise<void> => {
      for (;;) await client.call((rpc) => rpc.kv.put({ key: Buffer.from('/history'), value }), { maxTries: 1 });
    };
    await assert.rejects(fill(), /database space exceeded/);
    keys.set('/full/a', '2');
    await eventually(() => assert.match(keys.keyStatus('/full/a')?.reason ?? '', /database space exceeded/));
    await run(/alarm disarm/);
    await eventually(() => assert.equal(recorder.values['/full/a'], '2'));
    assert.equal(keys.status.held, true);
    assertSound(recorder);
  });
});

describe('an upgrade of the members from 3.4 to 3.5, one after the other', () => {
  it('disturbs no watch and no announced key', async () => {
    const cluster = await testCluster('3.4');
    const signal = new AbortController();
    try {
      const client = directClient(cluster, signal.signal);
      const recorder = createRecorder();
      void createReflector(client, { log: testLog() }, signal.signal).follow('/up/', recorder.onChange, signal.signal);
      const keys = createLeasedKeys(client, { ttlSeconds: 30 }, { log: testLog() }, signal.signal);
      keys.set('/up/a', '0');
      const etcd = await etcdProgram('3.5');
      const wanted = ['0'];
      for (const [index, member] of cluster.members.entries()) {
        await member.kill();
        await member.start(undefined, { etcd });
        await cluster.ready();
        keys.set('/up/a', `${index + 1}`);
        wanted.push(`${index + 1}`);
        await eventually(() => assert.equal(recorder.values['/up/a'], `${index + 1}`));
      }
      assert.deepEqual([recorder.puts, recorder.deletes], [wanted, []]);
      assertSound(recorder);
      const { version } = await client.call((rpc) => rpc.maintenance.status({}));
      assert.match(version, /^3\.5\./);
    } finally {
      signal.abort();
      await cluster.stopAll();
    }
  });
});
