import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { formatInstance, isHost } from '../../../common/instance.ts';
import { loadConfig } from '../../../nerve/config/config.ts';
import { type ServiceConfig, sameService } from '../../../nerve/config/service-config.ts';
import { loadNerveConfig } from '../../support/daemons/nerve-config.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** The service `api` with its required options and these. */
async function service(t: TestContext, options: object): Promise<ServiceConfig> {
  const { services } = await loadNerveConfig(t, {
    instance_id: 'i-1',
    services: { api: { host: '10.0.0.1', port: 3000, ...options } },
  });
  const api = services.get('api');
  assert.ok(api);
  return api;
}

describe('loadConfig', () => {
  it('treats a key with an empty value as absent', async (t) => {
    const empty = {
      check_interval: null,
      check_mocked: null,
      labels: null,
      haproxy_server_options: null,
      backup: null,
    };
    const check = { type: 'http', uri: '/health', timeout: null, rise: null, fall: null, headers: null, ssl: null };
    const given = await service(t, { ...empty, rate_limiting: { average_rate: null }, checks: [check] });
    assert.ok(sameService(given, await service(t, { checks: [{ type: 'http', uri: '/health' }] })));
  });

  it('fills in SmartStack’s defaults and its own', async (t) => {
    const { instanceId, etcd, ttlSeconds, admin, heartbeatPath, services } = await loadNerveConfig(t, {
      services: { api: { host: '10.0.0.1', port: 3000, checks: [{ type: 'http', uri: '/health' }] } },
    });
    assert.equal(instanceId, hostname());
    assert.deepEqual(
      [etcd.hosts, ttlSeconds, admin.listen, heartbeatPath],
      [['http://127.0.0.1:2379'], 10, '127.0.0.1:3210', null],
    );
    const api = services.get('api');
    assert.equal(api?.key, `/nerve/services/api/${hostname()}_10.0.0.1:3000`);
    const [check] = api?.checks ?? [];
    assert.deepEqual(
      [check?.name, check?.timeoutMs, check?.rise, check?.fall, check?.intervalMs, check?.fastIntervalMs],
      ['http', 100, 1, 1, 500, 500],
    );
    assert.deepEqual(check?.target, { service: 'api', host: '10.0.0.1', port: 3000 });
  });

  it('reads shutdown, drain_time and state_file_path', async (t) => {
    const { shutdown, drainTimeMs, stateFile } = await loadNerveConfig(t, {
      shutdown: { keep: true },
      drain_time: '1m',
      state_file_path: false,
    });
    assert.deepEqual([shutdown, drainTimeMs, stateFile], [{ keep: true, drain: 0 }, 60_000, false]);
    assert.deepEqual((await loadNerveConfig(t, {})).shutdown, { keep: false, drain: 0 });
  });

  it('accepts a file without services', async (t) => {
    assert.equal((await loadNerveConfig(t, {})).services.size, 0);
  });

  const values: readonly [sentence: string, options: object, value: string][] = [
    ['a service with a host and a port only', {}, '{"host":"10.0.0.1","port":3000,"name":"i-1"}'],
    [
      'weight as a string, labels and options',
      { weight: '2', labels: { az: 'a' }, haproxy_server_options: 'backup' },
      '{"host":"10.0.0.1","port":3000,"name":"i-1","weight":2,"haproxy_server_options":"backup","labels":{"az":"a"}}',
    ],
    [
      'weight 0 and a backup',
      { weight: 0, backup: true },
      '{"host":"10.0.0.1","port":3000,"name":"i-1","weight":0,"backup":true}',
    ],
    ['a port as a string', { port: '3000' }, '{"host":"10.0.0.1","port":3000,"name":"i-1"}'],
  ];
  for (const [sentence, options, value] of values) {
    it(`announces ${sentence}`, async (t) => assert.equal(formatInstance((await service(t, options)).instance), value));
  }

  const keys: readonly [options: object, key: string][] = [
    [{ etcd_path: '/nerve/services/svc/services' }, '/nerve/services/svc/services/i-1_10.0.0.1:3000'],
    [{ etcd_path: 'svc/' }, '/svc/i-1_10.0.0.1:3000'],
    [{ host: '::1' }, '/nerve/services/api/i-1_::1:3000'],
  ];
  for (const [options, key] of keys) {
    it(`announces ${JSON.stringify(options)} at ${key}`, async (t) =>
      assert.equal((await service(t, options)).key, key));
  }

  it("finds this host's address for auto", async (t) => {
    const { host } = (await service(t, { host: 'auto' })).instance;
    assert.ok(isHost(host) && host !== 'auto' && host !== '0.0.0.0', host);
  });

  it('makes no checks with check_mocked', async (t) => {
    const { checks } = await service(t, { check_mocked: true, checks: [{ type: 'tcp' }] });
    assert.deepEqual(checks, []);
  });

  it('lets a check name its own address and times', async (t) => {
    const { checks } = await service(t, {
      checks: [
        { type: 'tcp', host: '127.0.0.1', port: 1, timeout: '2s', name: 'local' },
        { type: 'http', uri: '/', timeout: 0.2, read_timeout: 3, rise: 3, fall: '2' },
        { type: 'http', uri: '/b' },
      ],
    });
    assert.deepEqual(
      checks.map(({ name, target, timeoutMs, rise, fall }) => [
        name,
        `${target.host}:${target.port}`,
        timeoutMs,
        rise,
        fall,
      ]),
      [
        ['local', '127.0.0.1:1', 2000, 1, 1],
        ['http', '10.0.0.1:3000', 3000, 3, 2],
        ['http-2', '10.0.0.1:3000', 100, 1, 1],
      ],
    );
  });

  it('reads etcd_host and etcd_port of a service', async (t) => {
    assert.deepEqual((await service(t, { etcd_host: 'etcd1', reporter_type: 'Etcd' })).etcdHosts, ['etcd1:2379']);
    assert.deepEqual((await service(t, { etcd_host: '::1', etcd_port: 4001 })).etcdHosts, ['[::1]:4001']);
  });

  it("reads SmartStack's example: a folder of services, keys of ZooKeeper, statsd, one instance_id for all", async (t) => {
    const { services, statsd } = await loadNerveConfig(
      t,
      {
        instance_id: 'mymachine',
        service_conf_dir: 'conf.d',
        heartbeat_path: '/tmp/h',
        statsd: { host: 'localhost', port: 8125 },
      },
      {
        'conf.d/your_http_service.json':
          '{"host":"1.2.3.4","port":3000,"reporter_type":"etcd","etcd_host":"localhost","etcd_port":4001,"etcd_path":"/nerve/services/your_http_service/services","check_interval":2,"checks":[{"type":"http","uri":"/health","timeout":0.2,"rise":3,"fall":2}]}',
        'conf.d/your_tcp_service.json':
          '{"host":"1.2.3.4","port":6379,"zk_hosts":["localhost:2181"],"zk_path":"/x","check_interval":2,"checks":[{"type":"tcp","timeout":0.2,"rise":3,"fall":2}]}',
      },
    );
    assert.deepEqual(statsd, { host: 'localhost', port: 8125, sample_rate: {} });
    assert.deepEqual([...services.keys()], ['your_http_service', 'your_tcp_service']);
    assert.equal(
      services.get('your_http_service')?.key,
      '/nerve/services/your_http_service/services/mymachine_1.2.3.4:3000',
    );
  });

  it('warns once about a key of SmartStack that has no meaning here', async (t) => {
    const folder = await tempFolder(t);
    const api = { host: 'a', port: 1, zk_path: '/x', checks: [{ type: 'tcp' }] };
    await writeFile(join(folder, 'n.json'), JSON.stringify({ services: { a: api, b: api } }));
    const { log, lines } = recordingLog();
    await loadConfig({ file: join(folder, 'n.json'), env: {} }, { log });
    assert.deepEqual(
      lines.map(({ level, fields }) => [level, fields.path]),
      [['warn', 'services.a.zk_path']],
    );
  });

  it('warns of a service without checks, unless that is said to be meant', async (t) => {
    const folder = await tempFolder(t);
    const on = (port: number, more: object) => ({ host: 'a', port, ...more });
    const services = {
      bare: on(1, {}),
      empty: on(2, { checks: [] }),
      twice: on(3, { instances: [{}, { port: 4 }] }),
      meant: on(5, { checks: [{ type: 'noop' }] }),
      mocked: on(6, { check_mocked: true }),
    };
    await writeFile(join(folder, 'n.json'), JSON.stringify({ services }));
    await writeFile(join(folder, 'none.json'), '{"services": {}, "service_conf_dir": "d"}');
    await mkdir(join(folder, 'd'));
    const warnings = async (file: string) => {
      const { log, lines } = recordingLog();
      await loadConfig({ file: join(folder, file), env: {} }, { log });
      return lines.map(({ fields }) => fields.path);
    };
    assert.deepEqual(
      await warnings('n.json'),
      ['bare', 'empty', 'twice'].map((name) => `services.${name}.checks`),
    );
    assert.deepEqual(await warnings('none.json'), ['service_conf_dir', 'services']);
  });

  it('warns of a record that is larger than synapse reads by default', async (t) => {
    const file = join(await tempFolder(t), 'n.json');
    const labelled = (bytes: number) => ({
      ...{ host: 'a', port: 1, check_mocked: true },
      labels: Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`l${n}`, 'x'.repeat(bytes / 8)])),
    });
    await writeFile(file, JSON.stringify({ services: { large: labelled(8_160), fine: labelled(7_600) } }));
    const { log, lines } = recordingLog();
    await loadConfig({ file, env: {} }, { log });
    assert.deepEqual(
      lines.map(({ fields }) => fields.path),
      ['services.large'],
    );
    assert.match(
      String(lines[0]?.fields.reason),
      /has 8\d\d\d bytes, and synapse reads at most 8192: shorten the labels, or raise/,
    );
  });

  it('distinguishes an unchanged service from a changed one', async (t) => {
    const options = { labels: { az: 'a' }, checks: [{ type: 'http', uri: '/' }] };
    const [a, b] = [await service(t, options), await service(t, options)];
    assert.ok(sameService(a, b));
    for (const change of [
      { weight: 1 },
      { checks: [{ type: 'http', uri: '/b' }] },
      { labels: {} },
      { check_interval: 1 },
      { port: 1 },
    ]) {
      assert.ok(!sameService(a, await service(t, { ...options, ...change })), JSON.stringify(change));
    }
  });
});
