import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ConfigError } from '../../../common/config/config.ts';
import { isObject } from '../../../common/config/formats.ts';
import { readSynapseConfig } from '../../../synapse/config/config.ts';
import { noHaproxy, synapseMistakes } from '../../support/config/synapse-mistakes.ts';
import { serviceConfig } from '../../support/haproxy/haproxy-output.ts';
import { recordingLog } from '../../support/process/recording-log.ts';

describe('the configuration of synapse', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'synapse-config-'));
  });
  after(() => rm(folder, { recursive: true }));

  let count = 0;
  async function read(value: object, env: NodeJS.ProcessEnv = {}) {
    count += 1;
    const file = join(folder, `${count}.json`);
    const { haproxy } = value as { readonly haproxy?: object };
    await writeFile(file, JSON.stringify({ ...value, haproxy: { ...noHaproxy, ...haproxy } }));
    const { log, lines } = recordingLog();
    const config = await readSynapseConfig(file, { env, log });
    return { config, lines };
  }
  /** What is wrong with it, without the file's name. */
  async function problemsOf(value: object): Promise<readonly string[]> {
    try {
      await read(value);
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      return error.problems.map(({ path, message }) => `${path}: ${message}`);
    }
    return [];
  }
  const service = (more: object = {}, discovery: object = {}) => ({
    services: { api: { discovery: { method: 'etcd', ...discovery }, ...more } },
  });

  it('has defaults for everything but the services', async () => {
    const { config, lines } = await read({});
    assert.deepEqual(config.services, new Map());
    assert.equal(config.admin.listen, '127.0.0.1:3211');
    assert.deepEqual(config.etcd.hosts, ['http://127.0.0.1:2379']);
    assert.equal(config.initialWaitMs, 3_000);
    assert.equal(config.stateFile, undefined);
    assert.deepEqual(
      lines.map(({ fields }) => `${fields?.path}: ${fields?.reason}`),
      ['services: has no services: HAProxy gets only what the section haproxy says'],
    );
  });

  it('reports a mistake in the etcd section once, at its key', async () => {
    const discovery = { method: 'etcd' };
    const services = { api: { discovery }, web: { discovery } };
    for (const [etcd, problem] of [
      [{ hosts: 'ftp://x' }, /^etcd\.hosts: /],
      [{ tls: { ca: '/ca.pem' } }, /^etcd\.tls: is set, but no address of hosts starts with https/],
      [{ username: 'synapse' }, /^etcd\.username: "synapse" needs a password/],
      [{ username: 'u', password: 'p', password_file: '/p' }, /^etcd\.password_file: set only one of/],
    ] as const) {
      const [first, ...others] = await problemsOf({ etcd, services });
      assert.match(first ?? '', problem);
      assert.deepEqual(others, []);
    }
  });

  it('takes keys without a value as not given', async () => {
    const empty = { default_servers: null, keep_default_servers: null, use_previous_backends: null, prefer: null };
    const { config } = await read(service({ ...empty, backend_port_override: null }, { label_filters: null }));
    const { config: plain } = await read(service());
    assert.deepEqual(config.services.get('api')?.policy, plain.services.get('api')?.policy);
    const zookeeper = { method: 'zookeeper', hosts: ['zk:2181'], path: '/api' };
    const blank = { decode: null, discovery_jitter: null, retry_policy: null };
    const options = async (discovery: object) =>
      (await read(service({}, discovery))).config.services.get('api')?.discovery.options;
    assert.deepEqual(await options({ ...zookeeper, ...blank }), await options(zookeeper));
  });

  it('gives the port override to sources that find only addresses', async () => {
    const dns = { method: 'dns', servers: [{ name: 'one', host: 'a.test' }, 'b.test', { host: 'c.test', port: 81 }] };
    const { config } = await read(service({ haproxy: { server_port_override: '8080' } }, dns));
    const { discovery, policy } = config.services.get('api') ?? {};
    const servers = [{ name: 'one', host: 'a.test' }, { host: 'b.test' }, { host: 'c.test', port: 81 }];
    const options = isObject(discovery?.options) ? discovery.options : {};
    assert.deepEqual([options.port, options.servers], [8080, servers]);
    assert.equal(policy?.portOverride, 8080, 'and still that of all it finds');
    assert.deepEqual(await problemsOf(service({}, dns)), [
      'services.api.discovery: port: is required for a.test; set port or backend_port_override',
    ]);
  });

  it('reads a service with everything', async () => {
    const { config } = await read({
      state_file_path: '/var/lib/synapse/state.json',
      state_file_ttl: '2h',
      initial_wait: 0.5,
      ...service(
        {
          default_servers: [{ name: 'd', host: '10.0.0.9', port: '80' }],
          keep_default_servers: true,
          use_previous_backends: false,
          backend_port_override: '8081',
          leader_election: true,
          haproxy: { port: 3213, listen: [`x \${HOME}`] },
        },
        {
          path: 'apps/api/',
          label_filter: { label: 'a', value: 'b', condition: 'equals' },
          label_filters: [{ label: 'c', value: 'd', condition: 'not-equals' }],
        },
      ),
    });
    const api = config.services.get('api');
    assert.deepEqual(
      { ...api?.policy, defaultServers: api?.policy.defaultServers.map(({ id }) => id) },
      {
        defaultServers: ['d_10.0.0.9:80'],
        keepDefaultServers: true,
        usePreviousBackends: false,
        portOverride: 8081,
        filters: [
          { label: 'a', value: 'b', condition: 'equals' },
          { label: 'c', value: 'd', condition: 'not-equals' },
        ],
        leaderElection: true,
        maxInstances: 10_000,
        instanceNetworks: undefined,
        prefer: undefined,
        expiryGuard: { share: 0.5, holdMs: 5_000, suspectMs: 300_000 },
      },
    );
    assert.equal(api?.discovery.method, 'etcd');
    assert.deepEqual(api?.discovery.options, {
      ...{ path: '/apps/api', leading_slash: true, max_record_bytes: 8_192, require_lease: false },
    });
    assert.deepEqual(api?.config, serviceConfig({ port: 3213, listen: [`x \${HOME}`] }));
    assert.deepEqual(config.stateFile, { path: '/var/lib/synapse/state.json', ttlMs: 7_200_000 });
    assert.equal(config.initialWaitMs, 500);
  });

  it('accepts the older names of the port override and of the state file', async () => {
    const { config } = await read({
      haproxy: { state_file_path: '/old', state_file_ttl: '1m' },
      ...service({ haproxy: { server_port_override: '50001', port: 1 } }),
    });
    assert.equal(config.services.get('api')?.policy.portOverride, 50001);
    assert.deepEqual(config.services.get('api')?.config, serviceConfig({ port: 1 }));
    assert.deepEqual(config.stateFile, { path: '/old', ttlMs: 60_000 });
  });

  it('prefers the newer name of the port override', async () => {
    const { config } = await read(service({ backend_port_override: 1, haproxy: { server_port_override: 2 } }));
    assert.equal(config.services.get('api')?.policy.portOverride, 1);
  });

  it("knows SmartStack's base method", async () => {
    const { config } = await read({
      services: { api: { discovery: { method: 'base' }, default_servers: [{ host: 'h', port: 1 }] } },
    });
    assert.equal(config.services.get('api')?.discovery.method, 'base');
  });

  it('keeps the order of the file', async () => {
    const discovery = { method: 'static' };
    const { config } = await read({ services: { z: { discovery }, a: { discovery }, m: { discovery } } });
    assert.deepEqual([...config.services.keys()], ['z', 'a', 'm']);
  });

  it('reads one service per file from service_conf_dir', async () => {
    const conf = join(folder, 'conf.d');
    await mkdir(conf);
    await writeFile(join(conf, 'web.yaml'), 'discovery: {method: etcd}\nbackend_port_override: nope\n');
    await assert.rejects(
      read({ service_conf_dir: conf }),
      (error: Error) =>
        error.message === `${conf}/web.yaml: services.web.backend_port_override: ${portMessage('nope')}`,
    );
  });

  it('reads statsd as in SmartStack, and has none without the section', async () => {
    const statsd = { sample_rate: { 'synapse.watcher.ping.count': 0.1 } };
    const { config, lines } = await read({ ...service(), statsd });
    assert.deepEqual(lines, []);
    const sample_rate = { 'synapse.watcher.ping.count': 0.1 };
    assert.deepEqual(config.statsd, { host: 'localhost', port: 8125, sample_rate });
    assert.equal((await read({})).config.statsd, undefined);
    await assert.rejects(
      read({ statsd: { sample_rate: { a: 2 } } }),
      /statsd\.sample_rate: must be an object of numbers/,
    );
  });

  it('lets HAProxy use all backups of a preference', async () => {
    const { config } = await read(
      service({ prefer: { label: 'az', value: 'a' }, haproxy: { port: 1, backend: ['balance leastconn'] } }),
    );
    const api = config.services.get('api');
    assert.deepEqual(api?.policy.prefer, { label: 'az', value: 'a', others: 'backup', weight: 0.1, minimum: 0.1 });
    const backend = ['balance leastconn', 'option allbackups'];
    assert.deepEqual(api?.config, serviceConfig({ port: 1, backend }));
    const own = { listen: ['no option allbackups'] };
    const other = await read(service({ prefer: { label: 'az', value: 'a' }, haproxy: own }));
    assert.deepEqual(other.config.services.get('api')?.config, serviceConfig(own), 'an own line about it stays');
  });

  it('reads discovery_multi as SmartStack does: discovery is one of several sources', async () => {
    const { config, lines } = await read(
      service({
        discovery_multi: {
          watchers: { secondary: { method: 'static' }, primary: { method: 'dns' } },
          resolver: { method: 'sequential', sequential_order: ['primary', 'secondary'] },
        },
      }),
    );
    const discovery = config.services.get('api')?.discovery;
    assert.ok(discovery);
    assert.equal(discovery.method, 'multi');
    const { parts } = discovery.options as { parts: { name: string; method: string }[] };
    assert.deepEqual(
      parts.map(({ name, method }) => [name, method]),
      [
        ['secondary', 'static'],
        ['primary', 'etcd'],
      ],
    );
    assert.match(String(lines[0]?.fields.path), /discovery_multi\.watchers\.primary$/);
  });

  it('reads a fallback as one of two sources with filters of their own, and applies the port override to sources that take no port', async () => {
    const label = (value: string) => [{ label: 'az', value, condition: 'equals' }];
    const { config } = await read(
      service(
        { backend_port_override: 80 },
        {
          label_filters: label('a'),
          fallback: {
            method: 'ec2tag',
            tag_name: 'service',
            tag_value: 'api',
            label_filters: label('b'),
            after: '20s',
          },
        },
      ),
    );
    const api = config.services.get('api');
    assert.ok(api);
    assert.equal(api.discovery.method, 'etcd, else ec2tag');
    assert.deepEqual(api.policy.filters, []);
    assert.equal(api.policy.portOverride, undefined);
    const { parts, resolver } = api.discovery.options as {
      parts: { filters: { value: string }[]; portOverride?: number; options: { port?: number } }[];
      resolver: { options: unknown };
    };
    assert.deepEqual(
      parts.map(({ filters, portOverride, options }) => [filters[0]?.value, portOverride, options.port]),
      [
        ['a', 80, undefined],
        ['b', undefined, 80],
      ],
    );
    assert.deepEqual(resolver.options, { sequential_order: ['primary', 'fallback'], after: 20_000 });
  });

  it("loads a user's own source and resolver from a file", async () => {
    const module = join(folder, 'mine.mjs');
    await writeFile(
      module,
      `export const source = {
         description: 'Mine.', schema: { size: { doc: 'Size.', format: 'port', default: 7 } },
         create: (options) => async () => {},
       };
       export const resolver = { description: 'Mine.', schema: {}, create: () => () => ({ use: [], ask: [] }) };`,
    );
    const { config } = await read(
      service(
        {},
        {
          method: 'multi',
          watchers: { a: { method: 'mine', module }, b: { method: 'static' } },
          resolver: { method: 'own', module },
        },
      ),
    );
    const options = config.services.get('api')?.discovery.options as { parts: unknown[] };
    assert.deepEqual(options.parts[0], {
      name: 'a',
      method: 'mine',
      options: { module, options: { size: 7 } },
      filters: [],
      portOverride: undefined,
    });
    await writeFile(join(folder, 'bad.mjs'), 'export const source = { schema: {} };');
    const bad = service({}, { method: 'bad', module: join(folder, 'bad.mjs') });
    assert.match((await problemsOf(bad)).join(), /must export 'source' with description, schema and create/);
  });

  for (const [title, value, problems] of synapseMistakes) {
    it(`refuses ${title}`, async () => {
      const found = await problemsOf(value);
      assert.equal(found.length, problems.length, found.join('\n'));
      for (const [index, problem] of problems.entries()) assert.match(found[index] ?? '', problem);
    });
  }

  it('never shows a password', async () => {
    const found = await problemsOf({ etcd: { password: 7777777 }, ...service({}, { password: { a: 'hunter2' } }) });
    assert.equal(found.length, 2, found.join('\n'));
    assert.doesNotMatch(found.join('\n'), /7777777|hunter2/);
  });
});

function portMessage(value: string): string {
  return `must be a port, a whole number from 1 to 65535, not ${JSON.stringify(value)}`;
}
