import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { describeSchema, type OptionSection } from '../../../common/cli/describe.ts';
import { pathProblems } from '../../../common/config/named-paths.ts';
import type { PathUse } from '../../../common/config/schema.ts';
import { thisHost } from '../../../common/host.ts';
import { pluginNames } from '../../../common/plugin.ts';
import { checkFolder } from '../../../nerve/check.ts';
import { pathsOfNerve } from '../../../nerve/config/paths.ts';
import { describeOptions as describeNerve } from '../../../nerve/describe.ts';
import { pathsOfSynapse } from '../../../synapse/config/paths.ts';
import { describeOptions as describeSynapse } from '../../../synapse/describe.ts';
import { haproxySchema } from '../../../synapse/haproxy/options/config.ts';
import { haproxySection } from '../../../synapse/haproxy/options/section.ts';
import { serviceHaproxySchema } from '../../../synapse/haproxy/options/service-config.ts';
import { sourceFolder } from '../../../synapse/source.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** Files of every kind. Everybody may read them unless their names say otherwise. */
async function makeFiles(t: TestContext): Promise<string> {
  const folder = await tempFolder(t);
  const make = async (name: string, text: string, mode: number): Promise<void> => {
    await writeFile(join(folder, name), text);
    await chmod(join(folder, name), mode);
  };
  await make('text', 'secret\n', 0o644);
  await make('secret', 'secret\n', 0o640);
  await make('empty', '\n', 0o600);
  await make('program', '', 0o755);
  await mkdir(join(folder, 'folder'));
  return folder;
}

describe('a path in a configuration', () => {
  const cases: Readonly<Record<PathUse, readonly (readonly [file: string, problem: RegExp | undefined])[]>> = {
    'password file': [
      ['secret', undefined],
      ['text', /^warning every user of this host can read the password in F\/text: chmod o-r F\/text$/],
      ['empty', /^error F\/empty is empty$/],
      ['none', /^error F\/none does not exist$/],
      ['folder', /^error F\/folder is a folder, not a file$/],
      ['text/below', /^error F\/text\/below is not a folder/],
    ],
    'PEM file': [['none', undefined]],
    file: [
      ['text', undefined],
      ['none', /^error F\/none does not exist$/],
      ['folder', /^error F\/folder is a folder, not a file$/],
    ],
    'file or folder': [
      ['text', undefined],
      ['folder', undefined],
      ['none', /^warning F\/none does not exist, so nothing is read there until it is$/],
    ],
    'file of a program': [
      ['program', undefined],
      ['none', /^warning F\/none does not exist, so it cannot be run$/],
      ['folder', /^warning F\/folder is a folder, not a program$/],
      ['text', /^warning F\/text may not be run: chmod \+x F\/text$/],
    ],
    'file to write': [
      ['text', undefined],
      ['new', undefined],
      ['folder', /^error F\/folder is a folder: name a file in it$/],
      ['none/new', /^warning the folder F\/none does not exist, so there can be no F\/none\/new$/],
      ['text/new', /^warning F\/text is not a folder, so there can be no F\/text\/new$/],
    ],
    'socket to make': [
      ['new', undefined],
      ['none/new', /^warning the folder F\/none does not exist/],
    ],
    folder: [
      ['folder', undefined],
      ['none', /^warning the folder F\/none does not exist, so the program cannot be started in it$/],
      ['text', /^warning F\/text is not a folder, so the program cannot be started in it$/],
    ],
    'folder to write': [
      ['folder', undefined],
      ['folder/new/new', undefined],
      ['text', /^warning F\/text is not a folder$/],
      ['text/new', /^warning F\/text\/new cannot be made|is not a folder/],
    ],
    socket: [
      ['new', undefined],
      ['none/new', /^warning the folder F\/none does not exist, so there can be no F\/none\/new$/],
    ],
    'flag file': [['none/new', undefined]],
  };

  for (const [use, expected] of Object.entries(cases)) {
    it(`is judged as what it names: ${use}`, async (t) => {
      const folder = await makeFiles(t);
      for (const [name, problem] of expected) {
        const named = [{ path: 'key', file: join(folder, name), use: use as PathUse }];
        const found = await pathProblems(named, thisHost.files);
        const lines = found.map(({ severity = 'error', message }) => `${severity} ${message.replaceAll(folder, 'F')}`);
        assert.equal(lines.length, problem === undefined ? 0 : 1, `${name}: ${lines}`);
        if (problem !== undefined) assert.match(lines[0] ?? '', problem);
      }
    });
  }

  const forbidden = {
    facts: async (path: string) => {
      if (/\/new$/.test(path)) throw Object.assign(new Error(), { code: 'ENOENT' });
      return { kind: 'folder', mode: 0o500, uid: 0, gid: 0, identity: '' } as const;
    },
    read: async () => {
      throw Object.assign(new Error(), { code: 'EACCES' });
    },
    isWritableFolder: async () => false,
  };
  const denied: readonly (readonly [use: PathUse, file: string, problem: RegExp | undefined])[] = [
    ['password file', '/etc/nerve/new', /^\/etc\/nerve\/new may not be read \(permission denied\)$/],
    [
      'file to write',
      '/etc/haproxy/new',
      /^the user of this command \(\d+\) may not write to the folder \/etc\/haproxy$/,
    ],
    ['folder to write', '/etc/haproxy/new', /may not write to the folder \/etc\/haproxy$/],
    ['folder to write', '/etc/haproxy', /may not write to the folder \/etc\/haproxy$/],
    ['socket', '/etc/haproxy/new', undefined],
  ];
  for (const [use, file, problem] of denied) {
    it(`${problem === undefined ? 'may be forbidden' : 'is named when it is forbidden'}: ${use} ${file}`, async () => {
      const [found] = await pathProblems([{ path: 'key', file, use }], forbidden);
      if (problem === undefined) assert.equal(found, undefined);
      else assert.match(found?.message ?? '', problem);
    });
  }
});

/** Section and name of an option → a configuration in which its path is wrong, and the key that the problem has. */
type PathCases = Readonly<Record<string, readonly [value: Readonly<Record<string, unknown>>, key: string]>>;

const gone = '/nonexistent/folder/file';

function discovery(method: string, more: object): Readonly<Record<string, unknown>> {
  return { services: { api: { discovery: { method, ...more } } } };
}

function checkOf(type: string, more: object): Readonly<Record<string, unknown>> {
  return { services: { api: { checks: [{ type, ...more }] } } };
}

const shared: PathCases = {
  'etcd password_file': [{ etcd: { password_file: gone } }, 'etcd.password_file'],
  'admin control_socket': [{ admin: { control_socket: gone } }, 'admin.control_socket'],
  'top level state_file_path': [{ state_file_path: gone }, 'state_file_path'],
};

const nerveCases: PathCases = {
  ...shared,
  'top level heartbeat_path': [{ heartbeat_path: gone }, 'heartbeat_path'],
  'module file': [checkOf('module', { file: gone }), 'services.api.checks[0].file'],
  'exec cwd': [checkOf('exec', { cwd: gone }), 'services.api.checks[0].cwd'],
  'exec command': [checkOf('exec', { command: [gone, '/etc'] }), 'services.api.checks[0].command[0]'],
  ...Object.fromEntries(
    ['docker', 'http', 'mysql', 'postgres', 'redis', 'tcp'].map((type) => [
      `${type} socket`,
      [checkOf(type, { socket: gone }), 'services.api.checks[0].socket'],
    ]),
  ),
};

const haproxy = (key: string, more: object = {}): readonly [Readonly<Record<string, unknown>>, string] => [
  { haproxy: { [key]: gone, ...more } },
  `haproxy.${key}`,
];

const synapseCases: PathCases = {
  ...shared,
  'file_output output_directory': [
    { file_output: { output_directory: '/proc/1/maps/x' } },
    'file_output.output_directory',
  ],
  'haproxy config_file_path': haproxy('config_file_path'),
  'haproxy candidate_config_file_path': haproxy('candidate_config_file_path'),
  'haproxy template_path': haproxy('template_path'),
  'haproxy socket_file_path': haproxy('socket_file_path'),
  'haproxy master_socket_path': haproxy('master_socket_path'),
  'haproxy haproxy_path': haproxy('haproxy_path'),
  'haproxy state_file_path': haproxy('state_file_path'),
  'docker host': [discovery('docker', { host: `unix://${gone}` }), 'services.api.discovery.host'],
  'etcd password_file': [discovery('etcd', { password_file: gone }), 'services.api.discovery.password_file'],
  'file path': [
    discovery('etcd', { fallback: { method: 'file', path: gone } }),
    'services.api.discovery.fallback.path',
  ],
  'zookeeper password_file': [discovery('zookeeper', { password_file: gone }), 'services.api.discovery.password_file'],
  'zookeeper_dns password_file': [
    discovery('multi', { watchers: { a: { method: 'zookeeper_dns', password_file: gone } } }),
    'services.api.discovery.watchers.a.password_file',
  ],
};

/** Options that look like paths of this host → why nothing is at them. `*`: of every section. */
const exempt: Readonly<Record<string, string>> = {
  '* tls': 'tls-files.ts looks at the files in it',
  '* ssl_ca': 'tls-files.ts',
  '* ssl_cert': 'tls-files.ts',
  '* ssl_key': 'tls-files.ts',
  '* control_socket_mode': 'permissions',
  '* etcd_path': 'keys of etcd',
  '* generator_config_path': 'a key',
  'fleet path': 'keys of etcd',
  'etcd path': 'keys of etcd',
  'zookeeper path': 'a node',
  'zookeeper_dns path': 'a node',
  'marathon marathon_api_path': 'of a URL',
  'top level state_file_ttl': 'a time',
  'haproxy state_file_ttl': 'a time',
  'file path': 'its absence has a meaning',
  'file check_interval': 'a time',
  'docker address': 'an address',
  'http uri': 'of a URL',
  'services.NAME.checks[] type': 'the name of a check',
  'services.NAME.haproxy port': 'a port',
  'haproxy do_socket': 'a switch',
  'haproxy service_reload_interval': 'a time',
  'haproxy sticky_drain_timeout': 'a time',
  'ec2tag aws_access_key_id': 'a secret',
  'etcd leading_slash': 'a switch',
  'etcd keys': 'keys of etcd',
  'etcd decode': 'paths in a JSON document',
  'haproxy do_writes': 'a switch',
  'haproxy do_checks': 'a switch',
  'haproxy watched': 'a switch',
  'haproxy check_command': 'a command of a shell',
  'haproxy reload_command': 'a command of a shell',
  'file_output disabled': 'a switch',
};

/** Where a title of `describe` begins. */
function nameOf(title: string): string {
  return title
    .replace(/^services\.NAME\.(?=file_output)/, '')
    .replace(/[:(].*$/, '')
    .trim();
}

function isExempt(option: string): boolean {
  return Object.hasOwn(exempt, option) || Object.hasOwn(exempt, anySection(option));
}

function anySection(option: string): string {
  return `* ${option.split(' ').at(-1)}`;
}

const looksLikePath = /path|file|folder|director|socket|\bprogram\b|command|\bPEM\b|unix:|cwd|\bca\b|_key$|_cert$/i;

function pathLike(sections: readonly OptionSection[]): readonly string[] {
  const found = sections.flatMap(({ title, options }) =>
    options
      .filter(({ name, type, doc }) => looksLikePath.test(`${name} ${type}`) || looksLikePath.test(doc))
      .map(({ name }) => `${nameOf(title)} ${name}`),
  );
  return [...new Set(found)];
}

async function sectionsOf(
  describeOf: (name?: string) => Promise<readonly OptionSection[]>,
  plugins: readonly string[],
): Promise<readonly OptionSection[]> {
  const own = await Promise.all(plugins.map(async (name) => (await describeOf(name)).slice(0, 1)));
  return [...(await describeOf()), ...own.flat()];
}

describe('the options that name paths', () => {
  const output = [
    { title: 'services.NAME.haproxy', options: describeSchema(serviceHaproxySchema) },
    { title: 'haproxy', options: describeSchema(haproxySchema) },
  ];
  const programs = [
    {
      name: 'nerve',
      cases: nerveCases,
      sections: async () => sectionsOf(describeNerve, await pluginNames(checkFolder)),
      pathsOf: (value: Readonly<Record<string, unknown>>) => pathsOfNerve(value),
    },
    {
      name: 'synapse',
      cases: synapseCases,
      sections: async () => sectionsOf((name) => describeSynapse(name, output), await pluginNames(sourceFolder)),
      pathsOf: (value: Readonly<Record<string, unknown>>) =>
        pathsOfSynapse(value, haproxySection.readTop(undefined, { path: 'haproxy', problems: [] })),
    },
  ];
  for (const { name, cases, sections, pathsOf } of programs) {
    it(`of ${name} are all looked at by its check, or have a reason why not`, async () => {
      const forgotten = pathLike(await sections()).filter(
        (option) => !Object.hasOwn(cases, option) && !isExempt(option),
      );
      assert.deepEqual(forgotten, [], 'add `names` to the schema and a case here');
    });

    for (const [option, [value, key]] of Object.entries(cases)) {
      it(`of ${name} are looked at by its check: ${option}`, async () => {
        const found = await pathProblems(await pathsOf(value), thisHost.files);
        assert.deepEqual(
          found.map(({ path }) => path),
          [key],
        );
      });
    }
  }

  it('have no reasons for options that there are not', async () => {
    const all = await Promise.all(programs.map(async ({ sections }) => pathLike(await sections())));
    const known = new Set(all.flat().flatMap((option) => [option, anySection(option)]));
    assert.deepEqual(
      Object.keys(exempt).filter((option) => !known.has(option)),
      [],
    );
  });

  it('are not looked at when nothing is written to them', async () => {
    const value = { haproxy: { config_file_path: gone, candidate_config_file_path: gone, socket_file_path: [gone] } };
    const section = { ...value.haproxy, do_writes: false, do_socket: false, do_reloads: false };
    const config = haproxySection.readTop(section, { path: 'haproxy', problems: [] });
    assert.deepEqual(await pathsOfSynapse(value, config), []);
  });

  it('are judged one by one in a list', async () => {
    const config = haproxySection.readTop(undefined, { path: 'haproxy', problems: [] });
    const value = { haproxy: { socket_file_path: ['/tmp/a.sock', gone] } };
    const found = await pathProblems(await pathsOfSynapse(value, config), thisHost.files);
    assert.deepEqual(
      found.map(({ path }) => path),
      ['haproxy.socket_file_path[1]'],
    );
  });
});
