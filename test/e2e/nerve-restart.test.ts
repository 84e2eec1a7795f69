import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import type { NerveState } from '../../nerve/status-shape.ts';
import { programPath, startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { dump } from '../support/etcd/etcd.ts';
import { recordEvents } from '../support/etcd/key-events.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import { eventually, patienceMs } from '../support/eventually.ts';

const prefix = '/nerve/services/';

type Services = Readonly<Record<string, object>>;

/** The keys in etcd while nerve is reconfigured, stopped and started again. */
describe('nerve reloaded, upgraded, killed and drained', () => {
  const end = new AbortController();
  const etcd = withCluster('3.5');
  let folder: string;
  let file: string;
  let nerve: TestDaemon;
  let events: string[];

  before(async () => {
    events = await recordEvents(etcd.client, prefix, end.signal);
  });
  after(async () => {
    end.abort();
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nerve-test-'));
    file = join(folder, 'nerve.json');
  });
  afterEach(async () => {
    await configure({});
    await nerve.end('SIGTERM');
    await etcd.client.call((rpc) =>
      rpc.kv.deleteRange({ key: Buffer.from(prefix), range_end: Buffer.from('/nerve/services0') }),
    );
    await rm(folder, { recursive: true, force: true });
  });

  async function configure(services: Services, top: object = {}): Promise<void> {
    const admin = { listen: '127.0.0.1:0', control_socket: join(folder, 'control.sock') };
    const state_file_path = join(folder, 'state.json');
    const config = { instance_id: 'i-1', ttl: 10, etcd: { hosts: etcd.cluster.urls }, admin, state_file_path, ...top };
    await writeFile(file, JSON.stringify({ ...config, services }));
  }

  async function start(services: Services, top: object = {}): Promise<void> {
    await configure(services, top);
    nerve = await startDaemon('nerve', file);
    await allAnnounced(Object.keys(services).length);
    events.length = 0;
  }

  async function state(): Promise<NerveState> {
    return JSON.parse((await nerve.get('/api/v1/state')).body);
  }

  const allAnnounced = (count: number): Promise<void> =>
    eventually(async () => {
      const { services } = await state();
      assert.deepEqual([services.length, services.filter(({ settled }) => settled).length], [count, count]);
      assert.ok(services.every(({ health, announced }) => health === 'up' && announced));
    });

  const command = (...args: readonly string[]) =>
    exec([process.execPath, programPath('nerve'), ...args, '-c', file], { timeoutMs: patienceMs, env: process.env });

  /** Fifty healthy services on ports of their own, named after the numbers. */
  const many = (first: number, count: number): Record<string, object> =>
    Object.fromEntries(
      Array.from({ length: count }, (_, i) => [
        `s${first + i}`,
        { host: '10.0.0.1', port: 3000 + first + i, checks: [{ type: 'noop' }], check_interval: 0.1 },
      ]),
    );

  const api = { api: { host: '10.0.0.1', port: 3000, checks: [{ type: 'noop' }], check_interval: 0.1 } };

  it('writes at SIGHUP only the keys of the changed, the new and the removed one of fifty services', async () => {
    await start(many(0, 50));
    const next = many(1, 50);
    await configure({ ...next, s7: { ...next.s7, weight: 9 } });
    nerve.kill('SIGHUP');
    await eventually(() => assert.deepEqual(events.toSorted(), ['put s0 down', 'put s50', 'put s7 9'].toSorted()));
    await allAnnounced(50);
    nerve.kill('SIGHUP');
    await eventually(() => assert.equal(nerve.lines.filter(isReload).length, 2));
    assert.equal(events.length, 3, 'the same configuration again changes nothing');
  });

  it('keeps every key, and marks none as down, when it is upgraded in place', async () => {
    const keep = { shutdown: { keep: true } };
    await start(many(0, 20), keep);
    assert.equal(await nerve.end('SIGTERM'), 0);
    const values = await dump(etcd.client, prefix);
    assert.equal(Object.keys(values).length, 20);
    nerve = await startDaemon('nerve', file);
    await allAnnounced(20);
    await outliveLeases();
    assert.deepEqual(await dump(etcd.client, prefix), values);
    assert.deepEqual(events.filter(isLoss), []);
  });

  it('keeps every key when it is killed and restarted within its TTL', async () => {
    await start(many(0, 20));
    await nerve.end('SIGKILL');
    nerve = await startDaemon('nerve', file);
    await allAnnounced(20);
    await outliveLeases();
    assert.deepEqual(events.filter(isLoss), []);
    assert.equal(Object.keys(await dump(etcd.client, prefix)).length, 20);
  });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    it(`keeps a service drained after ${signal} and a new start, until it is undrained`, async () => {
      await start(api);
      assert.equal((await command('drain', 'api')).code, 0);
      await eventually(() => assert.deepEqual(events, ['put api drain']));
      await nerve.end(signal);
      nerve = await startDaemon('nerve', file);
      await allAnnounced(1);
      assert.deepEqual(
        events.filter((event) => event === 'put api'),
        [],
        'it is never shown without drain',
      );
      assert.equal(events.at(-1), 'put api drain');
      assert.equal((await command('undrain', 'api')).code, 0);
      await eventually(() => assert.equal(events.at(-1), 'put api'));
    });
  }

  it('keeps a service drained when the state file is lost and the record in etcd is not', async () => {
    await start(api, { state_file_path: false });
    const { stderr } = await command('drain', 'api');
    assert.match(stderr, /nerve will forget this at a restart/);
    await eventually(() => assert.deepEqual(events, ['put api drain']));
    await nerve.end('SIGKILL');
    nerve = await startDaemon('nerve', file);
    await allAnnounced(1);
    assert.deepEqual(
      events.filter((event) => event !== 'put api drain'),
      [],
    );
    assert.equal((await state()).services[0]?.drained, true);
  });

  it('returns from drain --wait when the drain time is over and not before', async () => {
    await start(api, { drain_time: '700ms' });
    const before = performance.now();
    const { code, stderr } = await command('drain', 'api', '--wait');
    assert.equal(code, 0, stderr);
    assert.ok(performance.now() - before >= 700);
    assert.deepEqual(events, ['put api drain']);
  });

  it('ends a waiting drain with an error when another command undrains the service', async () => {
    await start(api, { drain_time: '1h' });
    const waiting = command('drain', 'api', '--wait');
    await eventually(() => assert.deepEqual(events, ['put api drain']));
    await command('undrain', 'api');
    const { code, stderr } = await waiting;
    assert.equal(code, 1);
    assert.match(stderr, /api: undrained while this command waited/);
  });

  it('drains, waits and withdraws at SIGTERM with shutdown.drain', async () => {
    await start(api, { shutdown: { drain: '700ms' } });
    const before = performance.now();
    assert.equal(await nerve.end('SIGTERM'), 0);
    assert.ok(performance.now() - before >= 700);
    await eventually(() => assert.deepEqual(events, ['put api drain', 'put api down']));
    await configure(api);
    nerve = await startDaemon('nerve', file);
    await allAnnounced(1);
    assert.equal(events.at(-1), 'put api', 'the end of the drain was requested only once');
  });

  const isLoss = (event: string): boolean => event.startsWith('delete') || event.endsWith('down');
  const isReload = ({ message }: { readonly message?: unknown }): boolean => message === 'configuration read again';

  /** Waits until the lease of the earlier nerve has expired: etcd has only the lease of the current one. */
  const outliveLeases = (): Promise<void> =>
    eventually(async () => {
      const { leases } = await etcd.client.call((rpc) => rpc.lease.leaseLeases({}));
      assert.equal(leases.length, 1);
    });
});
