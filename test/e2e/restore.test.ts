import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sleep } from '../../common/async/sleep.ts';
import type { EtcdClient } from '../../common/etcd/client/client.ts';
import { readyServers, workerPid } from '../../deploy/demo/haproxy.ts';
import type { SampleInstance } from '../../deploy/demo/parts.ts';
import { sendRequests } from '../../deploy/demo/request.ts';
import { type Stack, startStack } from '../../deploy/demo/stack.ts';
import { dataFolder, peerUrl } from '../../etcd-cluster/members/flags.ts';
import { pageBlock, runBlock } from '../support/docs/pages.ts';
import { directClient, dump } from '../support/etcd/etcd.ts';
import { eventually, patienceMs } from '../support/eventually.ts';

describe('etcd is put back from a backup while nerve, synapse and HAProxy run', () => {
  let stack: Stack;
  let folder: string;
  let client: EtcdClient;
  const load = { running: true, requests: 0, failures: [] as string[] };
  let loading: Promise<void>;
  const signal = new AbortController();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-restore-'));
    stack = await startStack({ services: ['api'], instancesPerService: 3, etcdVersion: '3.5' });
    client = directClient(stack.etcd, signal.signal);
    await ready('api-1', 'api-2', 'api-3');
    loading = keepAsking();
  });
  after(async () => {
    signal.abort();
    load.running = false;
    await loading;
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const keepAsking = async (): Promise<void> => {
    while (load.running) {
      const { failures } = await sendRequests(stack.ports.api as number, 1);
      load.requests += 1;
      load.failures.push(...failures);
      await sleep(20);
    }
  };
  const instance = (number: number): SampleInstance => stack.instances[number - 1] as SampleInstance;
  const sick = (number: number): void => instance(number).process.signal('SIGUSR2');
  const well = (number: number): void => instance(number).process.signal('SIGUSR1');
  const ready = async (...ids: readonly string[]): Promise<void> => {
    await eventually(async () => {
      const servers = await readyServers(stack.haproxy.socket, 'api');
      assert.deepEqual(
        servers.map((name) => name.replace(/_.*/, '')),
        ids,
      );
    });
  };
  const backUp = async (): Promise<void> => {
    await rm(join(folder, 'backup.db'), { force: true });
    const status = await runBlock(await pageBlock(/snapshot save/), { ONE_ENDPOINT: stack.etcd.urls[0] }, folder);
    assert.match(status, /HASH/);
  };
  /** Restores as the page describes, with another token; uses options that old releases lack only with `bump`. */
  const putBack = async (token: string, bump: boolean): Promise<void> => {
    const { members } = stack.etcd;
    await Promise.all(members.map((member) => member.kill()));
    const page = await pageBlock(/snapshot restore/);
    const block = bump ? page : page.replace(/ --bump-revision \d+ --mark-compacted/, '');
    assert.equal(block === page, bump);
    const url = (port: number): string => peerUrl({ name: '', client: 0, metrics: 0, peer: port }, false);
    const cluster = members.map(({ name, peerPort }) => `${name}=${url(peerPort)}`).join();
    for (const member of members) {
      const env = {
        ETCD_NAME: member.name,
        ETCD_DATA_DIR: dataFolder(member.folder),
        ETCD_INITIAL_CLUSTER: cluster,
        ETCD_INITIAL_CLUSTER_TOKEN: token,
        ETCD_INITIAL_ADVERTISE_PEER_URLS: url(member.peerPort),
      };
      await rm(`${env.ETCD_DATA_DIR}.before`, { recursive: true, force: true });
      await runBlock(block, env, folder);
    }
    await Promise.all(members.map((member) => member.start()));
    await stack.etcd.ready();
  };
  const clusterId = async (): Promise<string> => {
    return (await client.call((rpc) => rpc.kv.range({ key: Buffer.from('/') }), { totalMs: patienceMs })).header
      .cluster_id;
  };

  for (const bump of [false, true]) {
    it(`everything works again within seconds${bump ? ', with a revision that was raised' : ''}`, async () => {
      const pids = [...stack.instances.map(({ nerve }) => nerve.process.pid), stack.synapse.process.pid];
      const worker = await workerPid(stack.haproxy.socket);
      const id = await clusterId();
      // Between backup and restore, one instance leaves and another one comes.
      sick(3);
      await ready('api-1', 'api-2');
      await backUp();
      sick(2);
      well(3);
      await ready('api-1', 'api-3');
      await putBack(`restored-${bump}`, bump);
      assert.notEqual(await clusterId(), id);
      await eventually(async () => {
        const names = Object.keys(await dump(client, '/nerve/services/api/')).map((key) =>
          key.replace(/.*\/|_.*/g, ''),
        );
        assert.deepEqual(names, ['api-1', 'api-3']);
      });
      await ready('api-1', 'api-3');
      well(2);
      await ready('api-1', 'api-2', 'api-3');
      sick(1);
      await ready('api-2', 'api-3');
      well(1);
      await ready('api-1', 'api-2', 'api-3');
      assert.deepEqual([...stack.instances.map(({ nerve }) => nerve.process.pid), stack.synapse.process.pid], pids);
      assert.ok([...stack.instances.map(({ nerve }) => nerve), stack.synapse].every((one) => one.process.running));
      assert.equal(await workerPid(stack.haproxy.socket), worker, 'no reload');
      assert.deepEqual(load.failures, []);
      assert.ok(load.requests > 50);
    });
  }
});
