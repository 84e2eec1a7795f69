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
import { type HealthServer, startHealthServer } from '../support/servers/health-server.ts';

const prefix = '/nerve/services/';

/** One etcd member, one nerve, two services. */
describe('nerve and etcd', () => {
  const etcd = withCluster('3.4');
  let folder: string;
  let file: string;
  let nerve: TestDaemon;
  let services: Record<'api' | 'web', HealthServer>;
  /** The events that a watcher saw since the nerve of this test started: `put api`, `put api down`, `delete api`. */
  let events: string[];
  let watching: AbortController;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nerve-test-'));
    file = join(folder, 'nerve.json');
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    services = { api: await startHealthServer(), web: await startHealthServer() };
    events = await watch();
    await configure();
    nerve = await startDaemon('nerve', file);
    await eventually(async () => assert.deepEqual(await announced(), ['api', 'web']));
  });
  afterEach(async (context) => {
    if (process.env.TEST_LOG) console.log(context.name, nerve.lines);
    await nerve.end('SIGTERM');
    watching.abort();
    await services.api.close();
    await services.web.close();
    assert.deepEqual(await announced(), [], 'nerve leaves nothing behind but tombstones');
    // They would end during a later test.
    await etcd.client.call((rpc) =>
      rpc.kv.deleteRange({ key: Buffer.from(prefix), range_end: Buffer.from('/nerve/services0') }),
    );
  });

  async function configure(options: Readonly<Record<string, object>> = {}, top: object = {}): Promise<void> {
    const service = (name: 'api' | 'web'): object => ({
      host: '127.0.0.1',
      port: services[name].port,
      check_interval: 0.05,
      checks: [{ type: 'http', uri: '/health', timeout: '5s' }],
      ...options[name],
    });
    const config = {
      instance_id: 'i-1',
      ttl: 10,
      etcd: { hosts: etcd.cluster.urls },
      admin: { listen: '127.0.0.1:0', control_socket: join(folder, 'control.sock') },
      state_file_path: join(folder, 'state.json'),
      services: { api: service('api'), web: service('web') },
      ...top,
    };
    await writeFile(file, JSON.stringify(config));
  }

  async function watch(): Promise<string[]> {
    watching = new AbortController();
    return recordEvents(etcd.client, prefix, watching.signal);
  }

  async function announced(): Promise<string[]> {
    return Object.entries(await dump(etcd.client, prefix))
      .filter(([, value]) => !value.includes('"state":"down"'))
      .map(([key]) => String(key.slice(prefix.length).split('/')[0]));
  }

  async function state(): Promise<NerveState> {
    return JSON.parse((await nerve.get('/api/v1/state')).body);
  }

  function command(...args: readonly string[]) {
    return exec([process.execPath, programPath('nerve'), ...args, '-c', file], { timeoutMs: patienceMs });
  }

  /** Waits until a service has been probed many more times. */
  async function manyProbes(service: HealthServer): Promise<void> {
    const before = service.probes;
    await eventually(() => assert.ok(service.probes > before + 20));
  }

  it('announces healthy services with the documented key and value', async () => {
    const { port } = services.api;
    const all = await dump(etcd.client, prefix);
    const value = all[`/nerve/services/api/i-1_127.0.0.1:${port}`] ?? '';
    const [, record, at = ''] = /^(.*),"announced_at":"([^"]+)"}$/.exec(value) ?? [];
    assert.equal(record, `{"host":"127.0.0.1","port":${port},"name":"i-1"`);
    assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000, at);
    await eventually(async () => assert.deepEqual(await nerve.get('/readyz'), { status: 200, body: 'ready\n' }));
  });

  it('marks each key as down at SIGTERM, and leaves it to a lease of its own', async () => {
    assert.equal(await nerve.end('SIGTERM'), 0);
    await eventually(() => {
      const [api, web] = ['api', 'web'].map((name) => events.filter((event) => event.split(' ')[1] === name));
      assert.deepEqual(
        [api, web],
        [
          ['put api', 'put api down'],
          ['put web', 'put web down'],
        ],
      );
    });
  });

  it('takes over the keys of a killed nerve without a gap that a watcher can see', async () => {
    await nerve.end('SIGKILL');
    nerve = await startDaemon('nerve', file);
    await eventually(async () => {
      assert.equal((await nerve.get('/readyz')).status, 200);
      assert.ok((await state()).services.every((service) => service.announced && service.reason === null));
    });
    await manyProbes(services.api);
    assert.deepEqual(
      events.filter((event) => !event.startsWith('put ')),
      [],
    );
    assert.deepEqual(await announced(), ['api', 'web']);
  });

  it('loses its keys when it is killed and its lease expires', async () => {
    await nerve.end('SIGKILL');
    await eventually(async () => assert.deepEqual(await announced(), []));
    assert.deepEqual(
      events.filter((event) => event.endsWith('down')),
      [],
    );
  });

  it('withdraws a service that fails, and keeps it withdrawn until it is healthy', async () => {
    services.api.healthy = false;
    await eventually(() => assert.deepEqual(events.slice(-1), ['put api down']));
    const { length } = events;
    await manyProbes(services.api);
    assert.equal(events.length, length);
    assert.deepEqual(await announced(), ['web']);
    services.api.healthy = true;
    await eventually(() => assert.deepEqual(events.slice(length), ['delete api', 'put api']));
  });

  it('changes only the changed services at SIGHUP, and keeps the old configuration when the new one is invalid', async () => {
    events.length = 0;
    await configure({ api: { weight: 7 } });
    nerve.kill('SIGHUP');
    await eventually(() => assert.deepEqual(events, ['put api 7']));
    await writeFile(file, '{ "services": { "api": { "prot": 1 } } }');
    nerve.kill('SIGHUP');
    await eventually(() => {
      const line = nerve.lines.find(
        ({ message }) => message === 'the new configuration is invalid, the old one stays in force',
      );
      assert.match(JSON.stringify(line?.problems), /unknown key; did you mean port\?/);
    });
    await configure({ api: { weight: 7 } }, { services: {} });
    nerve.kill('SIGHUP');
    await eventually(async () => assert.deepEqual(await announced(), []));
    await eventually(() => assert.deepEqual(events.slice(1).toSorted(), ['put api down 7', 'put web down'].toSorted()));
    assert.deepEqual((await state()).services, []);
  });

  it('changes the lease time at SIGHUP without a gap that a watcher can see', async () => {
    const [before] = (await state()).leases;
    await configure({}, { ttl: 14 });
    nerve.kill('SIGHUP');
    await eventually(async () => {
      const { leases } = await state();
      assert.equal(leases.length, 1);
      assert.ok(leases[0]?.held && leases[0].id !== before?.id);
    });
    await manyProbes(services.api);
    assert.deepEqual(
      events.filter((event) => event.startsWith('delete') || event.endsWith('down')),
      [],
    );
    assert.deepEqual(await announced(), ['api', 'web']);
  });

  it('goes on while etcd is unreachable, and announces the current state when it is back', async () => {
    const [member] = etcd.cluster.members;
    await member?.stop();
    services.api.healthy = false;
    await eventually(async () => {
      const api = (await state()).services.find(({ name }) => name === 'api');
      assert.equal(api?.health, 'down');
      assert.ok(api.announced, 'etcd still shows it, as far as nerve knows');
      assert.match(api.reason ?? '', /\w/);
    });
    await eventually(async () => {
      const { status, body } = await nerve.get('/readyz');
      assert.equal(status, 503);
      assert.match(body, /^no lease in etcd/);
    });
    assert.equal((await nerve.get('/healthz')).status, 200);
    await member?.start();
    await etcd.cluster.ready();
    await eventually(async () => assert.deepEqual(await announced(), ['web']));
    services.api.healthy = true;
    await eventually(async () => assert.deepEqual(await announced(), ['api', 'web']));
    await eventually(async () => assert.equal((await nerve.get('/readyz')).status, 200));
  });

  it('stops within seconds also while etcd does not answer', async () => {
    const [member] = etcd.cluster.members;
    member?.freeze();
    try {
      assert.equal(await nerve.end('SIGTERM'), 0);
    } finally {
      member?.thaw();
    }
    await eventually(async () => assert.deepEqual(await announced(), []));
  });

  it('drains and undrains by command, and shows that in its status', async () => {
    const { port } = services.api;
    const drained = await command('drain', 'api');
    assert.deepEqual([drained.code, drained.stdout], [0, `api: i-1_127.0.0.1:${port} drains\n`], drained.stderr);
    await eventually(() => assert.equal(events.at(-1), 'put api drain'));
    const status = await command('status');
    assert.match(
      status.stdout,
      /^nerve \S+: ready\nlease in http:\/\/127\.0\.0\.1:\d+: held \([0-9a-f]+\)\n\nSERVICE /,
    );
    assert.match(status.stdout, new RegExp(`\napi +i-1_127.0.0.1:${port} +/\\S+ +up +\\d+ s +draining\n`));
    const json = JSON.parse((await command('status', '--json')).stdout) as NerveState;
    assert.deepEqual(
      json.services.map(({ name, drained }) => [name, drained]),
      [
        ['api', true],
        ['web', false],
      ],
    );
    assert.equal((await command('undrain', 'api', `i-1_127.0.0.1:${port}`)).code, 0);
    await eventually(() => assert.equal(events.at(-1), 'put api'));
    const wrong = await command('drain', 'nope');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /refuses: no service "nope" here; there are api, web/);
  });

  it('ends a drain with undrain --wait only after the checks pass again', async () => {
    assert.equal((await command('drain', 'api')).code, 0);
    services.api.healthy = false;
    const undrained = command('undrain', 'api', '--wait');
    await manyProbes(services.api);
    assert.equal((await state()).services[0]?.drained, true);
    services.api.healthy = true;
    const { code, stdout, stderr } = await undrained;
    const alone = 'api: no synapse that follows it takes part in the fleet; waiting only until etcd shows it\n';
    assert.deepEqual([code, stdout], [0, `api: i-1_127.0.0.1:${services.api.port} no longer drains\n${alone}`], stderr);
    assert.equal(events.at(-1), 'put api');
    assert.deepEqual(
      (await state()).services.map(({ announced, settled }) => [announced, settled]),
      [
        [true, true],
        [true, true],
      ],
    );
  });

  it('serves metrics', async () => {
    const { body } = await nerve.get('/metrics');
    assert.match(body, /^nerve_service_up\{service="api"\} 1$/m);
    assert.match(body, /^nerve_announcements_total\{service="api",action="announce"\} 1$/m);
    assert.match(body, /^nerve_probes_total\{service="api",check="http",result="pass"\} \d+$/m);
    assert.match(body, /^nodejs_eventloop_lag_seconds /m);
  });
});
