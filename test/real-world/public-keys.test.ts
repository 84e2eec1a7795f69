import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isObject } from '../../common/config/formats.ts';
import { loadConfig } from '../../nerve/config/config.ts';
import { readSynapseConfig } from '../../synapse/config/config.ts';
import { recordingLog } from '../support/process/recording-log.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** Keys and values → what becomes of them: they are read, or ignored with one warning that names the key. */
type Keys = Readonly<Record<string, readonly [value: unknown, outcome: 'read' | 'ignored']>>;

/** The keys that SmartStack's nerve, its forks, and the tools that write its files have at the top. */
const nerveTop: Keys = {
  instance_id: ['i-1', 'read'],
  heartbeat_path: ['/tmp/heartbeat', 'read'],
  service_conf_dir: ['services', 'read'],
  statsd: [{ host: '127.0.0.1', port: 8125 }, 'read'],
  listen_port: [1025, 'ignored'],
  max_repeated_report_failures: [10, 'ignored'],
  prometheus: [{ enabled: true, bind: '0.0.0.0', port: 9292, histogram_buckets_zk: [0.1, 1] }, 'ignored'],
};

const nerveService: Keys = {
  reporter_type: ['etcd', 'read'],
  etcd_host: ['etcd-1', 'read'],
  etcd_port: [4003, 'read'],
  etcd_path: ['/nerve/services/api/services', 'read'],
  check_interval: [2.0, 'read'],
  check_mocked: [false, 'read'],
  weight: [2, 'read'],
  labels: [{ az: 'us-east-1a' }, 'read'],
  haproxy_server_options: ['backup', 'read'],
  rate_limiting: [{ shadow_mode: true, average_rate: 1, max_burst: 10 }, 'read'],
  zk_hosts: [['10.0.0.1:2181'], 'ignored'],
  zk_path: ['/nerve/services/api', 'ignored'],
  zk_cluster_name: ['infrastructure', 'ignored'],
  use_path_encoding: [true, 'ignored'],
  node_type: ['ephemeral_sequential', 'ignored'],
  ttl_seconds: [60, 'ignored'],
  max_repeated_report_failures: [10, 'ignored'],
  ports: [[3000], 'ignored'],
};

const nerveCheck: Keys = {
  name: ['health', 'read'],
  host: ['127.0.0.1', 'read'],
  port: [3001, 'read'],
  timeout: [0.2, 'read'],
  open_timeout: [0.2, 'read'],
  read_timeout: [0.2, 'read'],
  ssl_timeout: [0.2, 'read'],
  rise: [3, 'read'],
  fall: [2, 'read'],
  expect: ['OK', 'read'],
  headers: [{ Host: 'api' }, 'read'],
  ssl: [true, 'read'],
  module: ['nerve-my-check', 'ignored'],
};

const synapseTop: Keys = {
  service_conf_dir: ['services', 'read'],
  file_output: [{ output_directory: '/tmp/services' }, 'read'],
  statsd: [{ host: '127.0.0.1', port: 8125, sample_rate: { 'synapse.haproxy.reload': 0.5 } }, 'read'],
};

const synapseService: Keys = {
  default_servers: [[{ name: 'a', host: '10.0.0.1', port: 1 }], 'read'],
  keep_default_servers: [true, 'read'],
  use_previous_backends: [false, 'read'],
  leader_election: [true, 'read'],
  backend_port_override: [3000, 'read'],
  file_output: [{ disabled: true }, 'read'],
  nginx: [{ disabled: true, mode: 'http', port: 80 }, 'ignored'],
};

const synapseHaproxy: Keys = {
  bind_address: ['127.0.0.1', 'read'],
  bind_options: ['accept-proxy', 'read'],
  server_options: ['check inter 2s', 'read'],
  server_port_override: ['3000', 'read'],
  server_backup_port: [3001, 'read'],
  frontend: [['mode http'], 'read'],
  backend: [['mode http'], 'read'],
  listen: [['mode http'], 'read'],
  backend_name: ['other', 'read'],
  backend_order: ['asc', 'read'],
  shared_frontend: [[], 'read'],
  cookie_value_method: ['hash', 'read'],
  use_nerve_weights: [true, 'read'],
  disabled: [true, 'read'],
};

const haproxy: Keys = {
  bind_address: ['localhost', 'read'],
  candidate_config_file_path: ['/tmp/haproxy-candidate.cfg', 'read'],
  check_command: ['true', 'read'],
  do_checks: [false, 'read'],
  extra_sections: [{ 'listen stats :3212': ['mode http', 'stats enable', 'stats uri /'] }, 'read'],
  max_server_id: [65_535, 'read'],
  reload_command: ['service haproxy reload', 'read'],
  restart_interval: [10, 'read'],
  restart_jitter: [0.1, 'read'],
  server_order_seed: [2_321_424_432_253_443, 'read'],
  shared_frontend: [['bind 127.0.0.1:8081'], 'read'],
  socket_file_path: [['/tmp/a.sock', '/tmp/b.sock'], 'read'],
  state_file_path: ['/tmp/haproxy.state', 'read'],
  state_file_ttl: [86_400, 'read'],
  use_nerve_weights: [true, 'read'],
};

/** Each method of SmartStack with all of its keys. */
const discoveries: readonly Readonly<Record<string, unknown>>[] = [
  {
    method: 'zookeeper',
    path: '/a',
    hosts: ['10.0.0.1:2181'],
    label_filter: { label: 'az', value: 'a', condition: 'equals' },
    generator_config_path: 'disabled',
    decode: { method: 'serverset', endpoint_name: 'http' },
    discovery_jitter: 1,
    retry_policy: { max_attempts: 2, max_delay: 10, base_interval: 0.5, max_interval: 2, retriable_errors: [] },
  },
  { method: 'zookeeper_poll', path: '/a', hosts: ['10.0.0.1:2181'], polling_interval_sec: 30 },
  { method: 'zookeeper_dns', path: '/a', hosts: ['10.0.0.1:2181'], nameserver: '127.0.0.1', check_interval: 30 },
  { method: 'dns', servers: [{ name: 'a', host: 'a.example', port: 1 }], nameserver: '127.0.0.1', check_interval: 30 },
  {
    method: 'docker',
    servers: [{ name: 'a', host: '10.0.0.1', port: 4243 }],
    image_name: 'a/b',
    container_port: 80,
    check_interval: 15,
  },
  {
    method: 'marathon',
    marathon_api_url: 'http://10.0.0.1:8080',
    application_name: '/a',
    port_index: 0,
    check_interval: 10,
  },
  { method: 'base', label_filters: [] },
  {
    method: 'multi',
    watchers: { primary: { method: 'base' }, other: { method: 'base' } },
    resolver: { method: 'sequential', sequential_order: ['primary', 'other'] },
  },
];

async function loaded(t: TestContext, program: 'nerve' | 'synapse', value: object): Promise<readonly string[]> {
  const folder = await tempFolder(t);
  await mkdir(join(folder, 'services'));
  const own = program === 'nerve' ? nerveOf({}) : { discovery: { method: 'etcd' } };
  await writeFile(join(folder, 'services', 'other.json'), JSON.stringify('services' in own ? own.services.api : own));
  const file = join(folder, `${program}.json`);
  await writeFile(file, JSON.stringify(value));
  const { log, lines } = recordingLog();
  if (program === 'nerve') await loadConfig({ file, env: {} }, { log });
  else await readSynapseConfig(file, { env: {}, log });
  return lines.map(({ fields }) => String(fields?.path));
}

const nerveOf = (more: object, service: object = {}, check: object = {}) => ({
  services: { api: { host: '10.0.0.1', port: 3000, checks: [{ type: 'http', uri: '/health', ...check }], ...service } },
  ...more,
});
const off = { global: [], defaults: [], do_writes: false, do_socket: false, do_reloads: false };
const synapseOf = (more: object, service: object = {}, section: object = {}) => ({
  services: { api: { discovery: { method: 'etcd' }, haproxy: { port: 8, ...section }, ...service } },
  haproxy: off,
  ...more,
});

function eachKey(
  program: 'nerve' | 'synapse',
  where: string,
  [keys, at]: readonly [keys: Keys, at: string],
  configOf: (own: object) => object,
): void {
  for (const [key, [value, outcome]] of Object.entries(keys)) {
    it(`${program} ${outcome === 'read' ? 'reads' : 'ignores, with one warning,'} ${key} ${where}`, async (t) => {
      const warned = await loaded(t, program, configOf({ [key]: value }));
      assert.deepEqual(warned, outcome === 'read' ? [] : [`${at}${key}`]);
    });
  }
}

describe('a key of SmartStack, its forks, or the tools that write its files', () => {
  eachKey('nerve', 'at the top', [nerveTop, ''], (own) => nerveOf(own));
  eachKey('nerve', 'of a service', [nerveService, 'services.api.'], (own) => nerveOf({}, own));
  eachKey('nerve', 'of a check', [nerveCheck, 'services.api.checks[0].'], (own) => nerveOf({}, {}, own));
  eachKey('synapse', 'at the top', [synapseTop, ''], (own) => synapseOf(own));
  eachKey('synapse', 'of a service', [synapseService, 'services.api.'], (own) => synapseOf({}, own));
  eachKey('synapse', "of a service's haproxy", [synapseHaproxy, 'services.api.haproxy.'], (own) =>
    synapseOf({}, {}, own),
  );
  eachKey('synapse', 'of haproxy', [haproxy, 'haproxy.'], (own) => synapseOf({ haproxy: { ...off, ...own } }));

  for (const discovery of discoveries) {
    it(`synapse reads all keys of the method ${discovery.method}`, async (t) => {
      const servers = { default_servers: [{ host: '10.0.0.1', port: 1 }] };
      const warned = await loaded(t, 'synapse', synapseOf({}, { discovery, ...servers }));
      assert.ok(isObject(discovery));
      assert.deepEqual(warned, []);
    });
  }
});

describe('a file of service_conf_dir that is given as the whole configuration', () => {
  it('is refused with the place of each key', async (t) => {
    await assert.rejects(loaded(t, 'nerve', { host: '10.0.0.1', port: 1, checks: [] }), (error: Error) => {
      assert.match(error.message, /: host: belongs to services\.NAME\.host$/m);
      assert.match(error.message, /: checks: belongs to services\.NAME\.checks$/m);
      return true;
    });
    const service = { discovery: { method: 'etcd' }, default_servers: [], haproxy: off };
    await assert.rejects(loaded(t, 'synapse', service), (error: Error) => {
      assert.match(error.message, /: discovery: belongs to services\.NAME\.discovery$/m);
      assert.match(error.message, /: default_servers: belongs to services\.NAME\.default_servers$/m);
      return true;
    });
  });
});
