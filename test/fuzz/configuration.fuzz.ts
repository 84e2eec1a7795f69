import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { ConfigError } from '../../common/config/config.ts';
import { loadConfig } from '../../nerve/config/config.ts';
import { readSynapseConfig } from '../../synapse/config/config.ts';
import { propertyWith } from './property.ts';

const value = fc.oneof(
  { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<unknown>(
      ...[
        '',
        '1',
        '2s',
        '-1s',
        '1e99',
        'http',
        '\u0024{HOME}',
        '${',
        '127.0.0.1',
        '::1',
        '/x',
        '../..',
        '*',
        '(',
        '\0',
        '\n',
      ],
      ...[0, -1, 1, 80, 65_536, 1e300, true, null, [], {}, [[]], [null], ['mode http'], [{}], { type: 'tcp' }],
    ),
  },
);
const keysOf = (text: string) => fc.constantFrom(...text.split(' '), '__proto__', 'constructor', 'toString', 'a.b', '');
const section = (keys: string, inner: fc.Arbitrary<unknown> = value) =>
  fc.oneof(
    { weight: 9, arbitrary: fc.dictionary(keysOf(keys), inner, { maxKeys: 6 }) },
    { weight: 1, arbitrary: value },
  );

const etcd = section('hosts tls username password password_file timeout');
const haproxy = section(
  'port listen frontend backend server_options bind_options backend_name backend_order disabled use_nerve_weights ' +
    'global defaults config_file_path socket_file_path trust_server_options extra_sections restart_interval watched ' +
    'service_reload_interval reload_free_services do_checks template_path',
);
const discovery = section(
  'method path hosts prefix label fallback after servers tag_name tag_value aws_region port nameserver resolver watchers',
);
const service = section(
  'discovery haproxy default_servers filters backend_port_override keep_default_servers use_previous_backends prefer ' +
    'host checks check_interval etcd_path weight labels backup instances rate_limiting haproxy_server_options',
  fc.oneof(
    discovery,
    haproxy,
    fc.array(section('type uri timeout rise fall host port command'), { maxLength: 2 }),
    value,
  ),
);
const services = fc.oneof(
  { weight: 8, arbitrary: fc.dictionary(keysOf('api web x_y 1 ../x'), service, { maxKeys: 3 }) },
  { weight: 1, arbitrary: value },
);
const document = fc.record(
  {
    services,
    etcd,
    haproxy,
    admin: section('listen hosts control_socket'),
    statsd: section('host port'),
    file_output: section('output_directory'),
    instance_id: value,
    ttl: value,
    shutdown: section('drain keep'),
    state_file_path: value,
    what: value,
  },
  { requiredKeys: [] },
);

const folder = {
  open: () => mkdtemp(join(tmpdir(), 'fuzz-configuration-')),
  close: (path: string) => rm(path, { recursive: true, force: true }),
};

/** Reads a configuration. Every mistake in it is a problem with the place of the mistake. */
async function checked(read: () => Promise<unknown>): Promise<void> {
  try {
    await read();
  } catch (error) {
    assert.ok(error instanceof ConfigError, error instanceof Error ? error.stack : String(error));
    assert.ok(error.problems.length > 0);
    for (const { path, message } of error.problems) {
      assert.equal(typeof path, 'string', message);
      assert.ok(
        message !== '' && !/undefined is not|is not a function|Cannot read/.test(message),
        `${path}: ${message}`,
      );
    }
  }
}

/** Reading of the configuration of each program. */
const readers: Readonly<Record<string, (file: string) => Promise<unknown>>> = {
  synapse: (file) => readSynapseConfig(file, { env: {} }),
  nerve: (file) => loadConfig({ file, env: {} }),
};

export const properties = Object.entries(readers).map(([program, read]) =>
  propertyWith(
    `a configuration of ${program} is read, or every problem in it has a place`,
    folder,
    document,
    async (content, path) => {
      const file = join(path, `${program}.json`);
      await writeFile(file, JSON.stringify(content));
      await checked(() => read(file));
    },
    { cases: 200 },
  ),
);
