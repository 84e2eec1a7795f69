import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { prefixRange } from '../../common/etcd/client/key-value.ts';
import type { ChangeReport } from '../../nerve/commands/change.ts';
import type { NerveState } from '../../nerve/status-shape.ts';
import { programPath, startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { enableAuth } from '../support/etcd/auth.ts';
import { dump, testCluster } from '../support/etcd/etcd.ts';
import { FakeProxy, fleetSize, type Says } from '../support/etcd/fleet.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import { eventually, patienceMs } from '../support/eventually.ts';
import { until } from '../support/until.ts';

const prefix = '/nerve/services/';
const api = { host: '10.0.0.1', port: 3000, checks: [{ type: 'noop' }], check_interval: 0.1 };
const quiet: Says = () => ({});
const busy: Says = () => ({ result: 'applied', connections: 2 });

/** nerve, and stand-ins for the synapses that follow its services. */
describe('nerve and its proxies', () => {
  const etcd = withCluster('3.5');
  let end: AbortController;
  let folder: string;
  let file: string;
  let nerve: TestDaemon;

  beforeEach(async () => {
    end = new AbortController();
    folder = await mkdtemp(join(tmpdir(), 'nerve-test-'));
    file = join(folder, 'nerve.json');
  });
  afterEach(async () => {
    end.abort();
    await nerve.end('SIGKILL');
    for (const folder of [prefix, '/smartstack/']) {
      const { key, end: to } = prefixRange(folder);
      await etcd.client.call((rpc) => rpc.kv.deleteRange({ key, range_end: to }));
    }
    await rm(folder, { recursive: true, force: true });
  });

  async function start(top: object = {}, services: object = { api }): Promise<void> {
    const admin = { listen: '127.0.0.1:0', control_socket: join(folder, 'control.sock') };
    const state_file_path = join(folder, 'state.json');
    const config = { instance_id: 'i-1', ttl: 10, etcd: { hosts: etcd.cluster.urls }, admin, state_file_path, ...top };
    await writeFile(file, JSON.stringify({ ...config, services }));
    nerve = await startDaemon('nerve', file);
    await eventually(async () => {
      const { services: found } = JSON.parse((await nerve.get('/api/v1/state')).body) as NerveState;
      assert.ok(found.every(({ settled, announced }) => settled && announced));
    });
  }

  const proxy = (id: string, says: Says): Promise<FakeProxy> =>
    new FakeProxy(etcd.client, id, says, ['/nerve/services']).start(end.signal);
  const command = (...args: readonly string[]) =>
    exec([process.execPath, programPath('nerve'), ...args, '-c', file], { timeoutMs: patienceMs, env: process.env });
  const requests = () => fleetSize(etcd.client, 'requests');

  it('returns from drain --wait when the last connection has ended, and removes its request', async () => {
    await start({ drain_time: '1h' });
    const [, b] = await Promise.all([proxy('host-a', quiet), proxy('host-b', busy)]);
    const waiting = command('drain', 'api', '--wait');
    await until(() => b.requests.size === 1);
    const [request] = b.requests.values();
    assert.equal(request?.kind === 'instance' && request.expect, 'drained');
    assert.match(String(Object.values(await dump(etcd.client, prefix))), /"state":"drain"/);
    await b.says(quiet);
    const { code, stdout } = await waiting;
    assert.equal(code, 0);
    const lines = stdout.split('\n').filter((line) => line !== '');
    assert.equal(lines[0], 'api: i-1_10.0.0.1:3000 drains');
    assert.match(
      String(lines.at(-1)),
      /^api: i-1_10\.0\.0\.1:3000 is drained in 2 proxies after [\d.]+ m?s: host-a, host-b$/,
    );
    assert.ok(
      lines.slice(1, -1).every((line) => /^\d of \d prox/.test(line)),
      stdout,
    );
    await until(async () => (await requests()) === 0);
    assert.match(
      (await nerve.get('/metrics')).body,
      /^nerve_fleet_requests_total\{expect="drained",outcome="done"\} 1$/m,
    );
  });

  it('ends drain --wait with exit code 4 and the names when the time is over, and stays drained', async () => {
    await start();
    await Promise.all([proxy('host-a', quiet), proxy('host-b', busy)]);
    const { code, stdout } = await command('drain', 'api', '--wait', '--timeout', '800ms');
    assert.equal(code, 4);
    assert.match(stdout, /\napi: not every proxy has it drained: 1 of 2 proxies; 2 connections left: host-b 2\n$/);
    assert.match(String(Object.values(await dump(etcd.client, prefix))), /"state":"drain"/);
    await until(async () => (await requests()) === 0);
  });

  it('prints JSON with what each proxy said', async () => {
    await start();
    await Promise.all([proxy('host-a', quiet), proxy('host-b', busy)]);
    const { code, stdout } = await command('drain', 'api', '--wait', '--timeout', '800ms', '--json');
    const change = JSON.parse(stdout) as ChangeReport;
    assert.deepEqual([code, change.proven, change.instances[0]?.progress?.outcome], [4, false, 'timeout']);
    assert.deepEqual(change.instances[0]?.progress?.waiting, [
      { proxy: 'host-b', reason: '2 connections', connections: 2 },
    ]);
  });

  it('waits with undrain --wait until every proxy has the service in rotation', async () => {
    await start();
    const a = await proxy('host-a', ({ kind, ...request }) =>
      kind === 'instance' && 'expect' in request && request.expect === 'up'
        ? { result: 'cannot', reason: "HAProxy's check says DOWN" }
        : {},
    );
    assert.equal((await command('drain', 'api', '--wait')).code, 0);
    const waiting = command('undrain', 'api', '--wait');
    await until(() =>
      [...a.requests.values()].some((request) => request.kind === 'instance' && request.expect === 'up'),
    );
    await a.says(() => ({ result: 'applied', connections: 7 }));
    const { code, stdout } = await waiting;
    assert.equal(code, 0);
    assert.match(stdout, /is in rotation in 1 proxy after/);
  });

  it('removes the request, and stays drained, when the command is killed', async () => {
    await start();
    const a = await proxy('host-a', busy);
    const child = spawn(process.execPath, [programPath('nerve'), 'drain', 'api', '--wait', '-c', file], {
      stdio: 'ignore',
    });
    await until(() => a.requests.size === 1);
    child.kill('SIGKILL');
    await until(() => a.requests.size === 0);
    assert.equal((await nerve.get('/readyz')).status, 200);
  });

  it('waits for drain_time and says so when no proxy takes part', async () => {
    await start({ drain_time: '700ms' });
    const before = performance.now();
    const { code, stdout } = await command('drain', 'api', '--wait');
    assert.equal(code, 0);
    assert.match(stdout, /no synapse that follows it takes part in the fleet; waiting for drain_time, 700ms\n$/);
    assert.ok(performance.now() - before >= 700);
  });

  it('waits for drain_time and asks nothing with fleet: false', async () => {
    await start({ drain_time: '100ms', fleet: false });
    const a = await proxy('host-a', busy);
    const { code, stdout } = await command('drain', 'api', '--wait');
    assert.equal(code, 0);
    assert.match(stdout, /the configuration says fleet: false; waiting for drain_time, 100ms\n$/);
    assert.equal(a.requests.size, 0);
  });

  it('waits for drain_time and says why when etcd does not let it ask', async () => {
    const cluster = await testCluster('3.5', { size: 1 });
    try {
      await enableAuth(cluster, prefix);
      await start({ drain_time: '100ms', etcd: { hosts: cluster.urls, username: 'nerve', password: 'secret' } });
      const { code, stdout } = await command('drain', 'api', '--wait');
      assert.equal(code, 0);
      assert.match(stdout, /etcd does not allow it: .*permission denied; waiting for drain_time, 100ms\n$/);
    } finally {
      await nerve.end('SIGKILL');
      await cluster.stopAll();
    }
  });

  it('changes a weight, waits until every proxy has it, and remembers it until - takes it back', async () => {
    await start({}, { api: { ...api, weight: 7 } });
    const record = async () =>
      JSON.parse(String(Object.values(await dump(etcd.client, prefix))[0])) as { weight?: number };
    const a = await proxy('host-a', () => undefined);
    const waiting = command('weight', 'api', '40', '--wait');
    await until(() => a.requests.size === 1);
    const [request] = a.requests.values();
    assert.ok(request?.kind === 'revision' && request.path === '/nerve/services/api');
    assert.equal((await record()).weight, 40);
    await a.says(() => ({ result: 'applied' }));
    const { code, stdout } = await waiting;
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^api: i-1_10\.0\.0\.1:3000 has weight 40\n(?:.*\n)*api: i-1_10\.0\.0\.1:3000 has weight 40 in 1 proxy after/,
    );
    await nerve.end('SIGTERM');
    nerve = await startDaemon('nerve', file);
    await eventually(async () => assert.equal((await record()).weight, 40));
    assert.match((await command('status')).stdout, /weight 40 by nerve weight/);
    assert.equal((await command('weight', 'api', 'i-1_10.0.0.1:3000', '-')).code, 0);
    await eventually(async () => assert.equal((await record()).weight, 7));
    const { instances, proven } = JSON.parse((await command('weight', 'api', '0', '--json')).stdout) as ChangeReport;
    assert.deepEqual([instances, proven], [[{ instance: 'i-1_10.0.0.1:3000', progress: null }], false]);
    await eventually(async () => assert.equal((await record()).weight, 0));
  });

  it('changes a weight without a proxy, and waits until etcd shows it', async () => {
    await start();
    const { code, stdout } = await command('weight', 'api', '3', '--wait');
    assert.equal(code, 0);
    assert.match(stdout, /takes part in the fleet; waiting only until etcd shows it\n$/);
    assert.match(String(Object.values(await dump(etcd.client, prefix))), /"weight":3/);
  });

  const wrongWeights: readonly (readonly [args: readonly string[], code: number, message: RegExp])[] = [
    [['api', '257'], 2, /weight 257: must be a whole number from 0 to 256, or -/],
    [['api', '1.5'], 2, /weight 1\.5: must be/],
    [['api'], 2, /missing WEIGHT/],
    [['nope', '5'], 1, /no service "nope" here/],
    [['api', 'nope', '5'], 1, /no instance "nope" of api here/],
  ];
  it('refuses a weight that cannot be, and services that it does not have', async () => {
    await start();
    for (const [args, wanted, message] of wrongWeights) {
      const { code, stderr } = await command('weight', ...args);
      assert.equal(code, wanted, args.join(' '));
      assert.match(stderr, message);
    }
  });

  const two = { api, web: { ...api, port: 3001 } };

  it('stops at SIGTERM with shutdown.drain as soon as no proxy has a connection', async () => {
    await start({ shutdown: { drain: '1h' } }, two);
    const a = await proxy('host-a', busy);
    const ended = nerve.end('SIGTERM');
    await until(() => a.requests.size === 2);
    assert.deepEqual(Object.keys(await dump(etcd.client, prefix)).length, 2);
    await a.says(quiet);
    assert.equal(await ended, 0);
    const left = Object.values(await dump(etcd.client, prefix));
    assert.ok(
      left.every((value) => value.includes('"state":"down"')),
      String(left),
    );
    assert.equal(await requests(), 0);
  });

  it('stops at SIGTERM at the end of shutdown.drain when a proxy keeps connections', async () => {
    await start({ shutdown: { drain: '700ms' } });
    await proxy('host-a', busy);
    const before = performance.now();
    assert.equal(await nerve.end('SIGTERM'), 0);
    assert.ok(performance.now() - before >= 700);
    assert.ok(nerve.lines.some(({ message }) => /not known to be drained/.test(String(message))));
  });

  it('stops at once at a second signal', async () => {
    await start({ shutdown: { drain: '1h' } });
    const a = await proxy('host-a', busy);
    nerve.kill('SIGTERM');
    await until(() => a.requests.size === 1);
    assert.equal(await nerve.end('SIGTERM'), 1);
  });
});
