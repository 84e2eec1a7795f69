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
import { directClient, dump } from '../support/etcd/etcd.ts';
import { backUp, type PutBackOptions, putBack } from '../support/etcd/restore.ts';
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
  const clusterId = async (): Promise<string> => {
    return (await client.call((rpc) => rpc.kv.range({ key: Buffer.from('/') }), { totalMs: patienceMs })).header
      .cluster_id;
  };

  const cases: readonly (readonly [title: string, options: PutBackOptions])[] = [
    // With the members' own token: before another one is used.
    ['everything works again within seconds, with the cluster id that it had', {}],
    ['everything works again within seconds', { token: 'restored-1' }],
    ['everything works again within seconds, with a revision that was raised', { token: 'restored-2', bump: true }],
  ];
  for (const [title, options] of cases) {
    it(title, async () => {
      const pids = [...stack.instances.map(({ nerve }) => nerve.process.pid), stack.synapse.process.pid];
      const worker = await workerPid(stack.haproxy.socket);
      const id = await clusterId();
      // Between backup and restore, one instance leaves and another one comes.
      sick(3);
      await ready('api-1', 'api-2');
      await backUp(stack.etcd, folder);
      sick(2);
      well(3);
      await ready('api-1', 'api-3');
      await putBack(stack.etcd, folder, options);
      assert.equal((await clusterId()) === id, options.token === undefined);
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
