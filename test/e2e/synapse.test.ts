import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import type { StateReport } from '../../synapse/report/status-shape.ts';
import { programPath, startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { put, remove } from '../support/etcd/etcd.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import { patienceMs } from '../support/eventually.ts';
import {
  haproxySection,
  type NamedServer,
  namedServer,
  type TestHaproxy,
  testHaproxy,
} from '../support/haproxy/haproxy.ts';
import { until } from '../support/until.ts';

/** One etcd, one HAProxy, one synapse. The tests follow each other: each starts where the previous one ended. */
describe('synapse between etcd and HAProxy', () => {
  const etcd = withCluster('3.4');
  let haproxy: TestHaproxy;
  let synapse: TestDaemon | undefined;
  const servers = new Map<string, NamedServer>();
  let port: number;
  let webPort: number;
  let config: string;

  before(async () => {
    haproxy = await testHaproxy();
    for (const name of ['one', 'two', 'three']) servers.set(name, await namedServer(name));
    port = await freePort();
    webPort = await freePort();
    config = join(haproxy.folder, 'synapse.json');
  });
  after(async () => {
    await synapse?.end('SIGKILL');
    await haproxy.close();
    for (const server of servers.values()) await server.close();
  });
  afterEach((context) => {
    if (process.env.TEST_LOG) console.log(context.name, synapse?.lines.slice(-20));
  });

  const portOf = (name: string): number => servers.get(name)?.port ?? 0;
  const keyOf = (name: string): string => `/nerve/services/api/${name}_127.0.0.1:${portOf(name)}`;
  const announce = (name: string, more: object = {}): Promise<number> =>
    put(etcd.client, keyOf(name), JSON.stringify({ host: '127.0.0.1', port: portOf(name), name, ...more }));

  async function writeConfig(services: object = {}, global = ['maxconn 200']): Promise<void> {
    const api = { discovery: { method: 'etcd' }, haproxy: { port, listen: ['mode http', 'balance roundrobin'] } };
    const value = {
      etcd: { hosts: etcd.cluster.urls },
      admin: { listen: '127.0.0.1:0' },
      state_file_path: join(haproxy.folder, 'state.json'),
      initial_wait: '1s',
      services: { api, ...services },
      haproxy: haproxySection(haproxy, { global, restart_interval: '100ms' }),
    };
    await writeFile(config, JSON.stringify(value));
  }

  /** The servers that answer a number of requests, by name; null stands for HAProxy's own error. */
  async function answers(at = port, count = 8): Promise<ReadonlySet<string | null>> {
    const names = new Set<string | null>();
    for (let i = 0; i < count; i++) {
      const response = await fetch(`http://127.0.0.1:${at}/`, { signal: AbortSignal.timeout(5_000) });
      const body = await response.text();
      names.add(response.status === 200 ? body : null);
    }
    return names;
  }
  const serving = (...names: string[]) =>
    until(async () => {
      assert.deepEqual([...(await answers())].sort(), names.toSorted());
      return true;
    });
  const ready = () => until(async () => (await synapse?.get('/readyz'))?.status === 200);
  const state = async (): Promise<StateReport> => JSON.parse((await synapse?.get('/api/v1/state'))?.body ?? '');
  const run = (...args: string[]) =>
    exec([process.execPath, programPath('synapse'), ...args], { timeoutMs: patienceMs });

  it('writes a haproxy.cfg, and is ready when HAProxy runs with it', async () => {
    await announce('one');
    await writeConfig();
    synapse = await startDaemon('synapse', config);
    await until(async () => (await readFile(haproxy.file, 'utf8').catch(() => '')).includes(`:${portOf('one')} `));
    assert.equal((await synapse.get('/readyz')).status, 503);
    await haproxy.start();
    await serving('one');
    await ready();
  });

  it('follows announced, drained and withdrawn instances without a reload', async () => {
    const worker = await haproxy.workerPid();
    await announce('two');
    await serving('one', 'two');
    await announce('two', { state: 'drain' });
    await serving('one');
    await announce('two', { weight: 5 });
    await announce('three');
    await serving('one', 'two', 'three');
    await announce('one', { state: 'down' });
    await remove(etcd.client, keyOf('one'));
    // It is under no lease, so it cannot have expired.
    await remove(etcd.client, keyOf('three'));
    await serving('two');
    assert.equal(await haproxy.workerPid(), worker);
    const { body } = (await synapse?.get('/metrics')) ?? { body: '' };
    assert.match(body, /^synapse_gone_instances_total\{service="api",how="withdrawn"\} 2$/m);
    assert.match(body, /^synapse_gone_instances_total\{service="api",how="expired"\} 0$/m);
    assert.match(body, /^synapse_instances\{service="api",state="up"\} 1$/m);
    assert.match(body, /^synapse_source_up\{service="api",method="etcd"\} 1$/m);
    assert.match(body, /^synapse_haproxy_apply_duration_seconds_count [1-9]/m);
  });

  it('skips broken and harmful records', async () => {
    const record = (more: object) => JSON.stringify({ host: '127.0.0.1', port: portOf('one'), ...more });
    const hostile = [
      'not json',
      record({ port: 0 }),
      record({ name: 'x\nbackend evil' }),
      record({ name: 'x;disable frontend api' }),
      record({ haproxy_server_options: "check\n  server evil 127.0.0.1:1 'quoted'" }),
      record({ haproxy_server_options: 'weight "' }),
      record({ padding: 'x'.repeat(1_000_000) }),
    ];
    for (const [index, value] of hostile.entries())
      await put(etcd.client, `/nerve/services/api/hostile-${index}`, value);
    const greedy = `/nerve/services/api/127.0.0.1:${portOf('one')}`;
    // A valid record with forbidden server options: they are dropped, and the instance serves.
    await put(etcd.client, greedy, record({ haproxy_server_options: 'ssl verify none track a/b' }));
    await announce('three');
    await serving('one', 'two', 'three');
    const { rejected } = (await state()).services.api ?? { rejected: [] };
    assert.equal(rejected.length, hostile.length);
    const { body } = (await synapse?.get('/metrics')) ?? { body: '' };
    assert.match(body, new RegExp(`^synapse_rejected_records_total\\{service="api"\\} ${hostile.length}$`, 'm'));
    await until(async () => (await readFile(haproxy.file, 'utf8')).includes(`:${portOf('three')} `));
    assert.doesNotMatch(await readFile(haproxy.file, 'utf8'), /evil|verify|track/);
    for (const index of hostile.keys()) await remove(etcd.client, `/nerve/services/api/hostile-${index}`);
    await remove(etcd.client, greedy);
    await serving('two', 'three');
  });

  it('shows its state, its haproxy.cfg, and an empty plan', async () => {
    const address = synapse?.admin ?? '';
    const asked = join(haproxy.folder, 'asked.json');
    await writeFile(asked, JSON.stringify({ admin: { listen: address } }));
    const status = await run('status', '-c', asked);
    // HAProxy does not check the servers of api: only requests of the last minute show that they answer.
    assert.match(
      status.stdout,
      /^synapse \S+: ready; (all is well|no problem is known, but nothing shows that .* api .*)$/m,
    );
    assert.match(status.stdout, new RegExp(`^api +two_127\\.0\\.0\\.1:${portOf('two')} +up +5 +no check +etcd`, 'm'));
    const explained = await run('explain', '-c', asked, 'api', `two_127.0.0.1:${portOf('two')}`);
    assert.match(explained.stdout, /^api: instances from etcd revision \d+, checked \d+ s ago$/m);
    assert.match(explained.stdout, /^✓ takes traffic; HAProxy does not check it$/m);
    const rendered = await run('render', '-c', config);
    await until(async () => (await readFile(haproxy.file, 'utf8')) === rendered.stdout);
    const plan = await run('plan', '-c', config);
    assert.match(plan.stdout, new RegExp(`^# HAProxy \\S+ at ${haproxy.socket}\n# nothing to do\n$`));
    const services = await run('services', '-c', config);
    assert.match(services.stdout, new RegExp(`^api +two_127\\.0\\.0\\.1:${portOf('two')} +up +5 +\\d+$`, 'm'));
    const check = await run('check', '-c', config);
    assert.match(check.stdout, /^the configuration is valid: 1 service; HAProxy accepts it$/m);
  });

  it('refuses to start without a configuration file', async () => {
    const { SYNAPSE_CONFIG: _, ...env } = process.env;
    const none = await exec([process.execPath, programPath('synapse')], { timeoutMs: patienceMs, env });
    assert.equal(none.code, 2);
    assert.match(none.stderr, /^synapse: name a configuration file with -c FILE or SYNAPSE_CONFIG$/m);
    const missing = await run('-c', join(haproxy.folder, 'missing.json'));
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /missing\.json: does not exist$/m);
  });

  it('keeps its configuration when the new one is invalid', async () => {
    const seen = synapse?.lines.length ?? 0;
    await writeFile(config, '{"services": {"api": {"discovery": {"method": "etdc"}}}}');
    synapse?.kill('SIGHUP');
    const message = 'the new configuration is invalid, the old one stays in force';
    await until(() => synapse?.lines.slice(seen).some((line) => line.message === message));
    const check = await run('check', '-c', config);
    assert.equal(check.code, 2);
    assert.match(check.stderr, /^\S+synapse\.json: services\.api\.discovery\.method: unknown discovery method "etdc"/m);
    const asked = join(haproxy.folder, 'asked.json');
    const status = await run('status', '-c', asked);
    assert.match(
      status.stdout,
      /The configuration file is invalid: a restart of synapse would fail: .*services\.api\.discovery\.method: unknown/,
    );
    await serving('two', 'three');
  });

  it("leaves out a service that HAProxy refuses, with HAProxy's reason; the others stay as they are", async () => {
    const worker = await haproxy.workerPid();
    const text = await readFile(haproxy.file, 'utf8');
    await writeConfig({
      bad: { discovery: { method: 'base' }, haproxy: { port: webPort, listen: ['balance wildly'] } },
    });
    const check = await run('check', '-c', config);
    assert.equal(check.code, 2);
    assert.match(check.stderr, /services\.bad\.haproxy\.listen\[0\]: HAProxy refuses it: balance only supports/);
    synapse?.kill('SIGHUP');
    await until(async () => {
      const state = JSON.parse((await synapse?.get('/api/v1/state'))?.body ?? '{}');
      return /balance only supports/.test(state.haproxy?.problems?.bad ?? '');
    });
    assert.equal((await synapse?.get('/readyz'))?.status, 200);
    await announce('one');
    await serving('one', 'two', 'three');
    assert.equal(await haproxy.workerPid(), worker);
    assert.equal(text.includes('wildly'), false);
    assert.doesNotMatch(await readFile(haproxy.file, 'utf8'), /wildly/);
    await announce('one', { state: 'down' });
    await remove(etcd.client, keyOf('one'));
  });

  it('uses a new haproxy section after SIGHUP', async () => {
    await writeConfig({}, ['maxconn 150']);
    synapse?.kill('SIGHUP');
    await until(async () => /^Maxconn: 150$/m.test(await haproxy.ask('show info')));
    await ready();
    await serving('two', 'three');
    await announce('one');
    await serving('one', 'two', 'three');
    await announce('one', { state: 'down' });
    await remove(etcd.client, keyOf('one'));
    await serving('two', 'three');
  });

  it('adds a service after SIGHUP with one reload, and leaves the others alone', async () => {
    const worker = await haproxy.workerPid();
    const default_servers = [{ host: '127.0.0.1', port: portOf('one'), name: 'one' }];
    const web = { discovery: { method: 'base' }, default_servers, haproxy: { port: webPort } };
    await writeConfig({ web }, ['maxconn 150']);
    synapse?.kill('SIGHUP');
    await until(async () => (await answers(webPort, 1)).has('one'));
    assert.notEqual(await haproxy.workerPid(), worker);
    await ready();
    await serving('two', 'three');
  });

  it('stops with everything on disk, leaves HAProxy running, and adopts it at the next start', async () => {
    const worker = await haproxy.workerPid();
    await announce('one');
    await serving('one', 'two', 'three');
    await announce('one', { state: 'down' });
    await remove(etcd.client, keyOf('one'));
    await serving('two', 'three');
    assert.equal(await synapse?.end(), 0);
    const text = await readFile(haproxy.file, 'utf8');
    const backend = text.slice(text.indexOf('backend api'), text.indexOf('frontend web'));
    assert.ok(backend.includes(`:${portOf('two')} `) && !backend.includes(`:${portOf('one')} `), backend);
    await serving('two', 'three');
    synapse = await startDaemon('synapse', config);
    await ready();
    assert.equal(await haproxy.workerPid(), worker);
    assert.equal(await readFile(haproxy.file, 'utf8'), text);
  });

  it('starts again and serves, together with HAProxy, while etcd is down', async () => {
    await etcd.cluster.members[0]?.kill();
    const worker = await haproxy.workerPid();
    assert.equal(await synapse?.end(), 0);
    synapse = await startDaemon('synapse', config);
    await ready();
    assert.equal(await haproxy.workerPid(), worker);
    await serving('two', 'three');
    const { services } = await state();
    assert.equal(services.api?.origin, 'cache');
    assert.ok(services.api?.reason);

    await haproxy.kill();
    await haproxy.start();
    await serving('two', 'three');
    await ready();
  });

  it('catches up when etcd is back', async () => {
    await etcd.cluster.members[0]?.start();
    await etcd.cluster.ready();
    await announce('one');
    await remove(etcd.client, keyOf('two'));
    await serving('one', 'three');
    assert.equal((await state()).services.api?.origin, 'discovered');
  });
});
