import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ConfigError } from '../../../common/config/config.ts';
import { readSynapseConfig } from '../../../synapse/config/config.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** A configuration in which `haproxy` and `services` are replaced. */
interface Case {
  readonly what: string;
  readonly haproxy?: object;
  readonly services?: Readonly<Record<string, object>>;
  /** Files of `service_conf_dir`. */
  readonly files?: Readonly<Record<string, object>>;
  readonly admin?: object;
  /** The keys of each problem: where it is, and the other place. Warnings begin with `warning`. */
  readonly problems: readonly string[];
}

const enough = {
  global: ['maxconn 9'],
  defaults: ['mode http'],
  config_file_path: '/x/haproxy.cfg',
  do_reloads: false,
};

/** `KEY with OTHER KEY` of each problem. */
async function problemsOf(t: TestContext, { haproxy, services = {}, files, admin }: Case): Promise<readonly string[]> {
  const folder = await tempFolder(t);
  const file = join(folder, 'synapse.json');
  const section = (own: object) => ({ discovery: { method: 'etcd' }, haproxy: own });
  const sections = (all: Readonly<Record<string, object>>) =>
    Object.fromEntries(Object.entries(all).map(([name, own]) => [name, section(own)]));
  if (files !== undefined) await mkdir(join(folder, 'services'));
  for (const [name, own] of Object.entries(sections(files ?? {}))) {
    await writeFile(join(folder, 'services', `${name}.json`), JSON.stringify(own));
  }
  const whole = {
    haproxy: { ...enough, socket_file_path: '/x/h.sock', ...haproxy },
    services: sections(services),
    ...(files !== undefined && { service_conf_dir: 'services' }),
    ...(admin !== undefined && { admin }),
  };
  await writeFile(file, JSON.stringify(whole));
  const { log, lines } = recordingLog();
  const keys = (path: string, message: string): string =>
    `${path} with ${/ ((?:services|haproxy|admin)(?:\.[\w-]+|\[\d+\]|\["[^"]*"\])+)/.exec(message)?.[1]}`;
  try {
    await readSynapseConfig(file, { env: {}, log });
    return lines
      .filter(({ fields }) => !String(fields?.reason).includes('has no services'))
      .map(({ fields }) => `warning ${keys(String(fields?.path), String(fields?.reason))}`);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems
      .filter(({ message }) => !message.includes('has no services'))
      .map(({ path, message, severity }) => `${severity === 'warning' ? 'warning ' : ''}${keys(path, message)}`);
  }
}

const colliding: readonly Case[] = [
  {
    what: 'two services with one port',
    services: { api: { port: 3000 }, web: { port: 3000 } },
    problems: ['services.web.haproxy.port with services.api.haproxy.port'],
  },
  {
    what: 'three services with one port, each with the first',
    services: { a: { port: 3000 }, b: { port: '3000' }, c: { port: 3000 } },
    problems: [
      'services.b.haproxy.port with services.a.haproxy.port',
      'services.c.haproxy.port with services.a.haproxy.port',
    ],
  },
  {
    what: 'localhost beside 0.0.0.0',
    services: { api: { port: 3000 }, web: { port: 3000, bind_address: '0.0.0.0' } },
    problems: ['services.web.haproxy.port with services.api.haproxy.port'],
  },
  {
    what: 'a bind in frontend with the port of another service',
    services: { api: { port: 3000 }, web: { port: 3001, frontend: ['maxconn 5', 'bind localhost:3000'] } },
    problems: ['services.web.haproxy.frontend[1] with services.api.haproxy.port'],
  },
  {
    what: 'binds in listen of two services',
    services: {
      api: { port: 3000, listen: ['bind :80'] },
      web: { port: 3001, listen: ['balance leastconn', 'bind :80'] },
    },
    problems: ['services.web.haproxy.listen[1] with services.api.haproxy.listen[0]'],
  },
  {
    what: 'a bind in extra_sections',
    haproxy: { extra_sections: { 'listen stats': ['stats enable', 'bind 127.0.0.1:3000'] } },
    services: { api: { port: 3000 } },
    problems: ['services.api.haproxy.port with haproxy.extra_sections["listen stats"][1]'],
  },
  {
    what: 'an address in an old title',
    haproxy: { extra_sections: { 'listen stats 127.0.0.1:3000': ['stats enable'] } },
    services: { api: { port: 3000 } },
    problems: ['services.api.haproxy.port with haproxy.extra_sections["listen stats 127.0.0.1:3000"]'],
  },
  {
    what: 'a section in defaults',
    haproxy: { defaults: ['mode http', 'frontend hidden', 'bind 127.0.0.1:3000'] },
    services: { api: { port: 3000 } },
    problems: ['services.api.haproxy.port with haproxy.defaults[2]'],
  },
  {
    what: 'the shared frontend',
    haproxy: { shared_frontend: ['bind 127.0.0.1:3000'] },
    services: { api: { port: 3000 } },
    problems: ['haproxy.shared_frontend[0] with services.api.haproxy.port'],
  },
  {
    what: 'a bind that a service adds to the shared frontend',
    haproxy: { shared_frontend: ['bind 127.0.0.1:80'] },
    services: { api: { port: 3000 }, web: { port: 3001, shared_frontend: ['acl web path /', 'bind 127.0.0.1:3000'] } },
    problems: ['services.web.haproxy.shared_frontend[1] with services.api.haproxy.port'],
  },
  {
    what: 'a port in the range of reload_free_services',
    haproxy: { reload_free_services: { ports: '4000-4010' }, extra_sections: { 'listen x': ['bind localhost:4005'] } },
    problems: ['haproxy.reload_free_services.ports with haproxy.extra_sections["listen x"][0]'],
  },
  {
    what: 'two services on one port of reload_free_services',
    haproxy: { reload_free_services: { ports: '4000-4010' } },
    services: { api: { port: 4001 }, web: { port: 4001 } },
    problems: ['services.web.haproxy.port with services.api.haproxy.port'],
  },
  {
    what: 'a range of ports',
    services: { api: { port: '3000-3010' }, web: { port: 3005 } },
    problems: ['services.web.haproxy.port with services.api.haproxy.port'],
  },
  {
    what: 'the address of the admin API',
    services: { api: { port: 3211 } },
    problems: ['services.api.haproxy.port with admin.listen'],
  },
  {
    what: 'an admin API that is moved, beside all addresses',
    admin: { listen: '10.0.0.5:9000' },
    services: { api: { port: 9000, bind_address: '*' } },
    problems: ['services.api.haproxy.port with admin.listen'],
  },
  {
    what: 'one unix socket twice',
    services: { api: { port: null, bind_address: '/x/a.sock' }, web: { port: null, bind_address: 'unix@/x/a.sock' } },
    problems: ['services.web.haproxy.bind_address with services.api.haproxy.bind_address'],
  },
  {
    what: 'one bind_address for several sockets',
    haproxy: { bind_address: '/x/a.sock' },
    services: { api: { port: null }, web: { port: null } },
    problems: ['haproxy.bind_address with haproxy.bind_address'],
  },
  {
    what: 'the socket of the master',
    haproxy: { master_socket_path: '/x/m.sock' },
    services: { api: { port: null, bind_address: '/x/m.sock' } },
    problems: ['services.api.haproxy.bind_address with haproxy.master_socket_path'],
  },
  {
    what: 'the socket of the runtime API, which synapse adds',
    services: { api: { port: null, bind_address: '/x/h.sock' } },
    problems: ['services.api.haproxy.bind_address with haproxy.socket_file_path'],
  },
  {
    what: 'a runtime API on TCP',
    haproxy: { global: ['maxconn 9', 'stats socket ipv4@127.0.0.1:3000 level admin'] },
    services: { api: { port: 3000 } },
    problems: ['services.api.haproxy.port with haproxy.global[1]'],
  },
  {
    what: 'the services of service_conf_dir',
    services: { api: { port: 3000 } },
    files: { web: { port: 3000 } },
    problems: ['services.web.haproxy.port with services.api.haproxy.port'],
  },
  {
    what: 'a service with a name that needs quotes',
    services: { 'api.v1': { port: 3000 }, web: { port: 3000 } },
    problems: ['services.web.haproxy.port with services["api.v1"].haproxy.port'],
  },
  {
    what: 'one address of this host beside all, which works',
    services: { api: { port: 80, bind_address: '10.0.0.5' }, web: { port: 80, bind_address: '*' } },
    problems: ['warning services.web.haproxy.port with services.api.haproxy.port'],
  },
];

const harmless: readonly Omit<Case, 'problems'>[] = [
  { what: 'different ports', services: { api: { port: 3000 }, web: { port: 3001 } } },
  {
    what: 'one port on different addresses',
    services: { api: { port: 80, bind_address: '10.0.0.5' }, web: { port: 80, bind_address: '10.0.0.6' } },
  },
  {
    what: 'one address twice in one frontend, as in several threads',
    services: { api: { port: 80, frontend: ['bind localhost:80 thread 1', 'bind localhost:80 thread 2'] } },
  },
  { what: 'services without a port', services: { api: { backend: ['mode tcp'] }, web: { backend: ['mode tcp'] } } },
  { what: 'lines of a frontend that is not written', services: { api: { frontend: ['bind :80'] }, web: { port: 80 } } },
  { what: 'a disabled service', services: { api: { port: 3000 }, web: { port: 3000, disabled: true } } },
  {
    what: 'a frontend that HAProxy does not start',
    services: { api: { port: 3000 }, web: { port: 3000, frontend: ['disabled'] } },
  },
  {
    what: 'a section that HAProxy does not start',
    haproxy: { extra_sections: { 'listen old': ['bind localhost:3000', 'disabled'] } },
    services: { api: { port: 3000 } },
  },
  {
    what: 'comments',
    haproxy: { extra_sections: { 'listen x': ['#bind localhost:3000', '  # bind localhost:3000', 'bind :1 # :3000'] } },
    services: { api: { port: 3000, frontend: ['# bind :1'] } },
  },
  {
    what: 'lines that HAProxy takes on a condition',
    haproxy: { extra_sections: { 'listen x': ['bind :1', '.if defined(X)', 'bind localhost:3000', '.endif'] } },
    services: { api: { port: 3000 } },
  },
  {
    what: 'variables',
    services: { api: { port: 3000, frontend: ['bind "$A:3001"'] }, web: { port: 3001, frontend: ['bind "$A:3001"'] } },
  },
  {
    what: 'backends with ports of their own',
    services: { api: { port: 3000, server_port_override: 3001 }, web: { port: 3001, server_backup_port: 3000 } },
  },
  {
    what: 'QUIC beside TCP',
    services: {
      api: { port: 443, bind_address: '*', frontend: ['bind quic4@:443 ssl crt /x.pem'] },
      web: { port: 444 },
    },
  },
  {
    what: 'a service on a port of reload_free_services',
    haproxy: { reload_free_services: { ports: '4000-4010' } },
    services: { api: { port: 4001 }, web: { port: 4002, frontend: ['maxconn 7'] } },
  },
  {
    what: 'peers, of which each host binds its own',
    haproxy: { extra_sections: { 'peers mesh': ['peer a localhost:3000', 'peer b 10.0.0.6:1024'] } },
    services: { api: { port: 3000 } },
  },
  {
    what: 'the address of the admin API when that is off',
    admin: { listen: false },
    services: { api: { port: 3211 } },
  },
  {
    what: 'the file of another program',
    haproxy: { do_writes: false },
    services: { api: { port: 3000 }, web: { port: 3000 } },
  },
];

describe('two listeners on one address', () => {
  for (const each of colliding) {
    it(`are refused, and both keys are named: ${each.what}`, async (t) => {
      assert.deepEqual(await problemsOf(t, each), each.problems);
    });
  }

  for (const each of harmless) {
    it(`are not seen in ${each.what}`, async (t) => {
      assert.deepEqual(await problemsOf(t, { ...each, problems: [] }), []);
    });
  }

  it('are not seen where a template writes no frontend', async (t) => {
    const folder = await tempFolder(t);
    const template = join(folder, 'template');
    const head = 'global\n{{#global}}\n\t{{.}}\n{{/global}}\n';
    await writeFile(template, `${head}{{#services}}\nbackend {{backend}}\n{{/services}}\n`);
    const services = { api: { port: 3000 }, web: { port: 3000 } };
    assert.deepEqual(
      await problemsOf(t, { what: '', services, haproxy: { template_path: template }, problems: [] }),
      [],
    );
  });

  it('are found among thousands of services in a moment', async (t) => {
    const services = Object.fromEntries(
      Array.from({ length: 3_000 }, (_, index) => [`s${index}`, { port: 10_000 + index }]),
    );
    const problems = await problemsOf(t, { what: '', services: { ...services, late: { port: 12_999 } }, problems: [] });
    assert.deepEqual(problems, ['services.late.haproxy.port with services.s2999.haproxy.port']);
  });
});
