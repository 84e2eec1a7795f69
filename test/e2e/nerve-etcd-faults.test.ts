import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { silentLog } from '../../common/daemon/log.ts';
import { createEtcdClient, type EtcdClient } from '../../common/etcd/client/client.ts';
import type { Rpc } from '../../common/etcd/client/connection.ts';
import type { LocalCluster } from '../../etcd-cluster/members/local-cluster.ts';
import type { NerveState } from '../../nerve/status-shape.ts';
import { startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { directClient, dump, exhaustQuota, portOf, testCluster } from '../support/etcd/etcd.ts';
import { eventually, patienceMs } from '../support/eventually.ts';
import { type FaultProxy, startFaultProxy } from '../support/servers/fault-proxy.ts';
import { type HealthServer, startHealthServer } from '../support/servers/health-server.ts';

const prefix = '/nerve/services/';
const quota = 16 * 1024 * 1024;

/** One nerve, one service, and an etcd that is unreachable, slow, full or read-only. */
describe('nerve while etcd fails', () => {
  let end: AbortController;
  let cluster: LocalCluster;
  let client: EtcdClient;
  let proxy: FaultProxy;
  let folder: string;
  let file: string;
  let nerve: TestDaemon;
  let api: HealthServer;

  beforeEach(async () => {
    end = new AbortController();
    cluster = await testCluster('3.5', { size: 1, flags: [`--quota-backend-bytes=${quota}`, '--bcrypt-cost=4'] });
    client = directClient(cluster, end.signal);
    proxy = await startFaultProxy(portOf(String(cluster.urls[0])));
    api = await startHealthServer();
    folder = await mkdtemp(join(tmpdir(), 'nerve-test-'));
    file = join(folder, 'nerve.json');
  });
  afterEach(async (context) => {
    if (process.env.TEST_LOG) console.log(context.name, nerve.lines);
    await nerve.end('SIGTERM');
    await proxy.close();
    await api.close();
    end.abort();
    await cluster.stopAll();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(etcd: object = {}): Promise<void> {
    const checks = [{ type: 'http', uri: '/health', timeout: '5s', interval: '20ms', jitter: 0 }];
    await writeFile(
      file,
      JSON.stringify({
        instance_id: 'i-1',
        ttl: 5,
        etcd: { hosts: [`127.0.0.1:${proxy.port}`], ...etcd },
        admin: { listen: '127.0.0.1:0', control_socket: false },
        state_file_path: false,
        services: { api: { host: '127.0.0.1', port: api.port, checks } },
      }),
    );
    nerve = await startDaemon('nerve', file);
  }

  const service = async () => {
    const { services } = JSON.parse((await nerve.get('/api/v1/state')).body) as NerveState;
    return services[0];
  };
  const announced = async (): Promise<number> =>
    Object.values(await dump(client, prefix)).filter((value) => !value.includes('"state":"down"')).length;
  const untilAnnounced = (count = 1): Promise<void> =>
    eventually(async () => {
      assert.deepEqual(await nerve.get('/readyz'), { status: 200, body: 'ready\n' });
      assert.equal(await announced(), count);
    });
  const untilNotReady = (reason: RegExp): Promise<void> =>
    eventually(async () => {
      const { status, body } = await nerve.get('/readyz');
      assert.equal(status, 503);
      assert.match(body, reason);
      assert.match((await service())?.reason ?? '', /\w/);
      assert.equal((await nerve.get('/healthz')).status, 200);
    });

  /** Measures the time of several probes, milliseconds. */
  async function pace(probes = 100): Promise<number> {
    const [begin, first] = [performance.now(), api.probes];
    await eventually(() => assert.ok(api.probes >= first + probes));
    return performance.now() - begin;
  }

  async function heapBytes(): Promise<number> {
    return Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec((await nerve.get('/metrics')).body)?.[1]);
  }

  /** Changes the health many times, so that a leak of memory at each change would show. */
  async function flap(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      api.healthy = !api.healthy;
      const wanted = api.healthy ? 'up' : 'down';
      await eventually(async () => assert.equal((await service())?.health, wanted));
    }
  }

  /** Asserts during a fault that the checks keep their pace and that memory stays flat. */
  async function assertCheckingGoesOn(usualPace: number): Promise<void> {
    const heap = await heapBytes();
    await flap(20);
    // Generous, because the machine may be busy: a probe that waited for etcd would take a hundred times as long.
    assert.ok((await pace()) < usualPace * 5 + 500);
    assert.ok((await heapBytes()) < heap + 20 * 1024 * 1024);
  }

  const faults: readonly [sentence: string, begin: () => unknown][] = [
    ['etcd is unreachable, and announces the current state afterwards', () => proxy.refuse()],
    ['each call takes two seconds, and announces the current state afterwards', () => proxy.delay(1000)],
  ];
  for (const [sentence, begin] of faults) {
    it(`goes on probing while ${sentence}`, async () => {
      await start();
      await untilAnnounced();
      const usual = await pace();
      await begin();
      await assertCheckingGoesOn(usual);
      api.healthy = false;
      await untilNotReady(/no lease in etcd|etcd does not show \w+ as it should/);
      api.healthy = true;
      await proxy.heal();
      await untilAnnounced();
    });
  }

  it('withdraws an unhealthy service although etcd is full, and announces it again when there is room', async () => {
    await start();
    await untilAnnounced();
    const usual = await pace();
    await exhaustQuota(client);
    api.healthy = false;
    await eventually(async () => assert.equal(await announced(), 0));
    api.healthy = true;
    await untilNotReady(/etcd does not show api as it should: .*database space exceeded/);
    await assertCheckingGoesOn(usual);
    await makeRoom();
    api.healthy = true;
    await untilAnnounced();
  });

  it('reports that it may not write, and announces as soon as it may', async () => {
    const ask = async (...calls: readonly ((rpc: Rpc) => Promise<unknown>)[]): Promise<void> => {
      for (const call of calls) await client.call(call);
    };
    await ask(
      ({ auth }) => auth.userAdd({ name: 'root', password: 'r' }),
      ({ auth }) => auth.roleAdd({ name: 'root' }),
      ({ auth }) => auth.userGrantRole({ user: 'root', role: 'root' }),
      ({ auth }) => auth.userAdd({ name: 'nerve', password: 'n' }),
      ({ auth }) => auth.roleAdd({ name: 'nerve' }),
      ({ auth }) => auth.userGrantRole({ user: 'nerve', role: 'nerve' }),
      ({ auth }) => auth.authEnable({}),
    );
    const root = { hosts: cluster.urls, username: 'root', password: 'r' };
    client = createEtcdClient(root, { log: silentLog }, end.signal);
    await start({ username: 'nerve', password: 'n' });
    await untilNotReady(/etcd does not show api as it should: .*permission denied/);
    await assertCheckingGoesOn(await pace());
    const [key, range_end] = [Buffer.from(prefix), Buffer.from('/nerve/services0')];
    await ask(({ auth }) =>
      auth.roleGrantPermission({ name: 'nerve', perm: { permType: 'Readwrite', key, range_end } }),
    );
    api.healthy = true;
    await untilAnnounced();
  });

  async function makeRoom(): Promise<void> {
    await client.call((rpc) => rpc.kv.deleteRange({ key: Buffer.from('/full/'), range_end: Buffer.from('/full0') }));
    const { header } = await client.call((rpc) => rpc.kv.range({ key: Buffer.from('x') }));
    await client.call((rpc) => rpc.kv.compact({ revision: header.revision, physical: true }));
    await client.call((rpc) => rpc.maintenance.defragment({}), { attemptMs: 20_000, totalMs: patienceMs });
    const { alarms } = await client.call((rpc) => rpc.maintenance.alarm({ action: 'Get', alarm: 'Nospace' }));
    for (const { memberID } of alarms) {
      await client.call((rpc) => rpc.maintenance.alarm({ action: 'Deactivate', memberID, alarm: 'Nospace' }));
    }
  }
});
