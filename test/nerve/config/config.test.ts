import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ConfigError } from '../../../common/config/config.ts';
import { formatInstance, isHost } from '../../../common/instance.ts';
import { loadConfig, type NerveConfig } from '../../../nerve/config/config.ts';
import { type ServiceConfig, sameService } from '../../../nerve/config/service-config.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

async function load(t: TestContext, value: object, files: Readonly<Record<string, string>> = {}): Promise<NerveConfig> {
  const folder = await tempFolder(t);
  for (const [name, text] of Object.entries({ 'nerve.json': JSON.stringify(value), ...files })) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return loadConfig({ file: join(folder, 'nerve.json'), env: {} });
}

/** One service, with what it needs and these options. */
async function service(t: TestContext, options: object): Promise<ServiceConfig> {
  const { services } = await load(t, {
    instance_id: 'i-1',
    services: { api: { host: '10.0.0.1', port: 3000, ...options } },
  });
  const api = services.get('api');
  assert.ok(api);
  return api;
}

async function problems(loading: Promise<unknown>): Promise<readonly string[]> {
  const error = await loading.then(
    () => assert.fail('it was accepted'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError, String(error));
  return error.problems.map(({ path, message }) => `${path}: ${message}`);
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
    const { instanceId, etcd, ttlSeconds, admin, heartbeatPath, services } = await load(t, {
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
    const { shutdown, drainTimeMs, stateFile } = await load(t, {
      shutdown: { keep: true },
      drain_time: '1m',
      state_file_path: false,
    });
    assert.deepEqual([shutdown, drainTimeMs, stateFile], [{ keep: true, drain: 0 }, 60_000, false]);
    assert.deepEqual((await load(t, {})).shutdown, { keep: false, drain: 0 });
  });

  it('accepts a file without services', async (t) => {
    assert.equal((await load(t, {})).services.size, 0);
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
    const { services, statsd } = await load(
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
    const api = { host: 'a', port: 1, zk_path: '/x' };
    await writeFile(join(folder, 'n.json'), JSON.stringify({ services: { a: api, b: api } }));
    const { log, lines } = recordingLog();
    await loadConfig({ file: join(folder, 'n.json'), env: {} }, { log });
    assert.deepEqual(
      lines.map(({ level, fields }) => [level, fields.path]),
      [['warn', 'services.a.zk_path']],
    );
  });

  const wrong: readonly [sentence: string, value: object, problems: readonly (string | RegExp)[]][] = [
    ['services that are a list', { services: [] }, ['services: must be an object of services by name']],
    [
      'a service that is not an object',
      { services: { api: 5 } },
      ['services.api: must be an object of options, not 5'],
    ],
    [
      'a service without an address',
      { services: { api: {} } },
      [/services\.api\.host: is required/, /services\.api\.port: is required/],
    ],
    [
      'an instance_id that cannot be part of a key',
      { instance_id: 'a/b' },
      [/instance_id: must be a string of up to 128 .*not "a\/b"/],
    ],
    ['a ttl below two seconds', { ttl: 1 }, ['ttl: must be a time from 2s to 1h, not 1']],
    [
      'ZooKeeper',
      { services: { a: { host: 'a', port: 1, reporter_type: 'zookeeper' } } },
      ['services.a.reporter_type: must be etcd: announcing in ZooKeeper is not supported, not "zookeeper"'],
    ],
    [
      'wrong weights',
      { services: { a: { host: 'a', port: 1, weight: -1 }, b: { host: 'a', port: 2, weight: null } } },
      [/services\.a\.weight: .*not -1/, /services\.b\.weight: .*not null/],
    ],
    [
      'an unknown check, with the nearest',
      { services: { a: { host: 'a', port: 1, checks: [{ type: 'htp' }] } } },
      [/services\.a\.checks\[0\]\.type: unknown check type "htp"; known are .*; did you mean http\?/],
    ],
    [
      'a check without a type',
      { services: { a: { host: 'a', port: 1, checks: [{ uri: '/' }] } } },
      [/services\.a\.checks\[0\]\.type: is required/],
    ],
    [
      'a check that is a string',
      { services: { a: { host: 'a', port: 1, checks: ['tcp'] } } },
      ['services.a.checks[0]: must be an object of options, not "tcp"'],
    ],
    [
      'checks that are an object',
      { services: { a: { host: 'a', port: 1, checks: { type: 'tcp' } } } },
      [/services\.a\.checks: must be a list of checks/],
    ],
    [
      'a check without what it needs',
      { services: { a: { host: 'a', port: 1, checks: [{ type: 'http' }] } } },
      [/services\.a\.checks\[0\]\.uri: is required: must be a path/],
    ],
    [
      'rise and fall of 0',
      { services: { a: { host: 'a', port: 1, checks: [{ type: 'tcp', rise: 0, fall: 0 }] } } },
      [/checks\[0\]\.rise: must be a whole number, 1 or more, not 0/, /checks\[0\]\.fall/],
    ],
    [
      'unknown keys, and names the nearest known one',
      { servces: {}, services: { a: { host: 'a', port: 1, check_intervall: 1, checks: [{ type: 'tcp', uri: '/' }] } } },
      [
        'servces: unknown key; did you mean services?',
        'services.a.check_intervall: unknown key; did you mean check_interval?',
        /services\.a\.checks\[0\]\.uri: unknown key; known are/,
      ],
    ],
    [
      'two services under one key',
      {
        instance_id: 'i',
        services: { a: { host: 'a', port: 1, etcd_path: '/x' }, b: { host: 'a', port: 1, etcd_path: '/x/' } },
      },
      ['services.b: would be announced under the same key as services.a: /x/i_a:1'],
    ],
    [
      'a name that no key can have',
      { services: { 'a b': { host: 'a', port: 1 } } },
      ['services["a b"]: "a b" cannot be part of a key; set etcd_path or choose another name'],
    ],
    [
      'a shutdown that both keeps and drains',
      { shutdown: { keep: true, drain: 5 } },
      ['shutdown: keep and drain exclude each other: with keep the instances go on taking traffic'],
    ],
    [
      'a name that an instance has already',
      {
        services: {
          api: { host: 'a', instances: [{ port: 1 }] },
          'api:1': { host: 'b', port: 1, etcd_path: '/x' },
        },
      },
      ['services["api:1"]: api:1 is also the name of an instance of services.api'],
    ],
    ['an etcd user without a password', { etcd: { username: 'u' } }, [/etcd: username "u": needs a password/]],
    ['etcd addresses of another scheme', { etcd: { hosts: ['ftp://x'] } }, [/etcd\.hosts: /]],
    [
      'an admin address that is not HOST:PORT',
      { admin: { listen: 'x' } },
      ['admin.listen: must be HOST:PORT, or false for none, not "x"'],
    ],
    [
      'server options with a newline',
      { services: { a: { host: 'a', port: 1, haproxy_server_options: 'x\ny' } } },
      [/services\.a: haproxy_server_options/],
    ],
  ];
  for (const [sentence, value, expected] of wrong) {
    it(`refuses ${sentence}`, async (t) => {
      const found = await problems(load(t, value));
      assert.equal(found.length, expected.length, found.join('\n'));
      for (const [i, pattern] of expected.entries()) {
        if (typeof pattern === 'string') assert.equal(found[i], pattern);
        else assert.match(found[i] ?? '', pattern);
      }
    });
  }

  it('never shows a password in a problem', async (t) => {
    const found = await problems(
      load(t, { etcd: { username: 5, password: ['hunter2'], hosts: ['http://u:hunter2@x'] } }),
    );
    assert.ok(!found.join('\n').includes('hunter2'), found.join('\n'));
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

describe('loadConfig from the environment', () => {
  const from = (env: Readonly<Record<string, string>>): Promise<NerveConfig> => loadConfig({ file: undefined, env });

  it('needs only a service and its port', async () => {
    const { services, etcd } = await from({ NERVE_SERVICE: 'api', NERVE_PORT: '3000' });
    const api = services.get('api');
    assert.ok(api && api.instance.host !== 'auto');
    assert.deepEqual(
      api.checks.map(({ type }) => type),
      ['tcp'],
    );
    assert.deepEqual(etcd.hosts, ['http://127.0.0.1:2379']);
  });

  it('reads host, check, etcd and admin options', async () => {
    const env = {
      NERVE_SERVICE: 'api',
      NERVE_HOST: '10.0.0.1',
      NERVE_PORT: '3000',
      NERVE_CHECK: 'http:/health?a:b',
      ETCD_HOSTS: 'a:1,b:2',
      NERVE_ADMIN_LISTEN: 'false',
      NERVE_CONTROL_SOCKET: '/run/nerve.sock',
    };
    const { services, etcd, admin } = await loadConfig({ file: undefined, env, instanceId: 'i-9' });
    const api = services.get('api');
    assert.equal(api?.key, '/nerve/services/api/i-9_10.0.0.1:3000');
    assert.deepEqual(
      api?.checks.map(({ type, options }) => [type, (options as { uri: string }).uri]),
      [['http', '/health?a:b']],
    );
    assert.deepEqual(
      [etcd.hosts, admin.listen, admin.control_socket],
      [['http://a:1', 'http://b:2'], false, '/run/nerve.sock'],
    );
  });

  it('reads the etcd certificates and user', async () => {
    const tls = { ETCD_TLS_CA: '/tls/ca.pem', ETCD_TLS_CERT: '/tls/client.pem', ETCD_TLS_KEY: '/tls/client-key.pem' };
    const user = { ETCD_USERNAME: 'nerve', ETCD_PASSWORD: 'secret' };
    const env = { NERVE_SERVICE: 'api', NERVE_PORT: '1', ETCD_HOSTS: 'https://a:1', ...tls, ...user };
    const { etcd } = await loadConfig({ file: undefined, env });
    assert.deepEqual(etcd, {
      hosts: ['https://a:1'],
      tls: { ca: '/tls/ca.pem', cert: '/tls/client.pem', key: '/tls/client-key.pem' },
      username: 'nerve',
      password: 'secret',
    });
  });

  const wrong: readonly [env: Readonly<Record<string, string>>, problem: RegExp][] = [
    [{}, /name a configuration file with -c FILE or NERVE_CONFIG, or one service with NERVE_SERVICE/],
    [{ NERVE_SERVICE: 'api' }, /NERVE_PORT: is not set/],
    [{ NERVE_SERVICE: 'api', NERVE_PORT: 'x' }, /services\.api\.port: .*not "x"/],
    [
      { NERVE_SERVICE: 'api', NERVE_PORT: '1', NERVE_CHECK: 'tcp:/x' },
      /NERVE_CHECK: must be the type of a check, or http:\/PATH, not "tcp:\/x"/,
    ],
    [{ NERVE_SERVICE: 'api', NERVE_PORT: '1', NERVE_CHECK: 'http' }, /checks\[0\]\.uri: is required/],
    [{ NERVE_SERVICE: '__proto__', NERVE_PORT: '1', NERVE_CHECK: 'nope' }, /unknown check type/],
  ];
  for (const [env, problem] of wrong) {
    it(`refuses ${JSON.stringify(env)}`, async () => assert.match((await problems(from(env))).join('\n'), problem));
  }
});
