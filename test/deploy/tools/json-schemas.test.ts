import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv, type ValidateFunction } from 'ajv';
import { parse } from 'yaml';
import { ConfigError } from '../../../common/config/config.ts';
import { formatDefinitions, sectionSchema } from '../../../common/config/json-schema.ts';
import { parseText } from '../../../common/config/parse.ts';
import { isError, type Problem } from '../../../common/config/problem.ts';
import { validate } from '../../../common/config/schema.ts';
import { loadConfig } from '../../../nerve/config/config.ts';
import { readSynapseConfig } from '../../../synapse/config/config.ts';
import { nerveMistakes } from '../../support/config/nerve-mistakes.ts';
import { type AnySchema, optionSchemas } from '../../support/config/option-schemas.ts';
import { haproxy, smartstackExamples } from '../../support/config/smartstack-examples.ts';
import { noHaproxy, synapseMistakes } from '../../support/config/synapse-mistakes.ts';
import { read, tried } from '../../support/docs/all-pages.ts';
import { programsOf, type Value, wholeOf } from '../../support/docs/configurations.ts';
import { blocks } from '../../support/docs/markdown.ts';
import { root } from '../../support/repository.ts';

/** Strict, so that a misspelled keyword is an error. */
const ajv = new Ajv({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });

const compiled = async (name: string): Promise<ValidateFunction> =>
  ajv.compile(JSON.parse(await read(`deploy/schemas/${name}.schema.json`)));

const schemas = {
  nerve: await compiled('nerve'),
  'nerve-service': await compiled('nerve-service'),
  synapse: await compiled('synapse'),
  'synapse-service': await compiled('synapse-service'),
} as const;

function accepts(name: keyof typeof schemas, value: unknown, where: string): void {
  const schema = schemas[name];
  assert.ok(schema(value), `${where}: ${ajv.errorsText(schema.errors, { separator: '\n' })}`);
}

describe('the JSON Schema of nerve', () => {
  for (const [sentence, value, , beyond] of nerveMistakes) {
    it(beyond === undefined ? `refuses ${sentence}` : `cannot see ${sentence}: ${beyond}`, () => {
      assert.equal(schemas.nerve(value), beyond !== undefined);
    });
  }
});

describe('the JSON Schema of synapse', () => {
  for (const [sentence, value, , beyond] of synapseMistakes) {
    it(beyond === undefined ? `refuses ${sentence}` : `cannot see ${sentence}: ${beyond}`, () => {
      assert.equal(schemas.synapse({ haproxy: noHaproxy, ...value }), beyond !== undefined);
    });
  }

  for (const [title, config] of smartstackExamples) {
    it(`accepts SmartStack's example: ${title}`, () => accepts('synapse', { haproxy, ...config }, title));
  }

  it('accepts the EC2 configuration of 2014', async () => {
    const file = 'test/golden/synapse/ec2-2014.json';
    accepts('synapse', parseText(await read(file), file, []), file);
  });

  for (const [what, change, isFine] of [
    ['nothing that it writes', { config_file_path: null }, false],
    ['writing turned off', { do_writes: 'no', config_file_path: null }, true],
    ['no socket', { socket_file_path: null }, false],
    ['no way to reload', { reload_command: null }, false],
    ['a program that watches the file', { reload_command: null, watched: true }, true],
    ['no section global', { global: undefined }, false],
  ] as const) {
    it(`${isFine ? 'accepts' : 'refuses'} a section haproxy with ${what}`, () => {
      const value = JSON.parse(JSON.stringify({ haproxy: { ...haproxy, ...change } }));
      assert.equal(schemas.synapse(value), isFine);
    });
  }
});

/** The kinds of values that people write. */
const values: readonly unknown[] = [
  ...[null, true, false, 'true', 'Yes', 'off', 'false', 0, 1, -1, 0.5, 7.5, 300, 3000, 65_535, 65_536, 3e9],
  ...['0', '80', '080', '0.5', '-3', '80deadbeef', '5.0', '500ms', '2 s', '1.5m', '', ' ', 'text', 'two words'],
  ...[
    '/path',
    '/path/',
    'path/x',
    '/a/b.mjs',
    'a.b-c_d',
    'line\nbreak',
    'tab\t',
    'null\0',
    '::1',
    '10.0.0.1',
    '1.2.3.4,::1',
  ],
  ...['[::1]:80', 'host:80', '0.0.0.0:0', ':80', '10.0.0.0/8', '2001:db8::/32', 'http://h:1', 'HTTPS://h/', 'h1,h2:80'],
  ...['unix:///s', 'tcp://h:1', 's3://bucket/key', 'auto', 'auto:eth0', 'auto:ipv4', 'ETCD', '0660', '1-2', '100-200'],
  ...[
    '200-399',
    '.suffix',
    'disabled',
    `\${NAME}`,
    `$\${NAME}`,
    `a\${NAME:-b}`,
    'www-data',
    '1000',
    '(',
    '^OK$',
    'user$',
  ],
  ...[[], ['a'], ['two words', 'tab\t'], ['line\nbreak'], [1], [200, '300-399'], ['10.0.0.0/8', '::/0'], ['h:1'], ['']],
  ...[
    [{ host: 'h', port: 1 }],
    [{ host: 'h', port: '1', weight: 3 }],
    [{ host: 'h' }],
    [{}],
    [{ name: 'n', host: 'h' }],
  ],
  ...[
    {},
    { a: 'b' },
    { a: 1 },
    { a: 0.5 },
    { a: ['b'] },
    { a: true },
    { method: 'nerve' },
    { method: 'json', host: 'a.b' },
  ],
  ...[
    { method: 'serverset', endpoint_name: null },
    { method: 'nerve', any_key: true },
    { ca: '/f', serverName: null },
  ],
  ...[
    { ports: '1-5' },
    { ports: '1-5', listen: 'mode http', backend: ['a'] },
    { x_y: 'text' },
    { 'listen a': ['bind :1'] },
  ],
];

/** The announced record judges these, after the format of the option. */
const judgedLater: readonly string[] = ['haproxy_server_options'];

describe('the JSON Schema of an option', async () => {
  for (const [name, schema] of await optionSchemas()) {
    it(`takes what the daemon takes, refuses something that it refuses, and has a valid default: ${name}`, () => {
      for (const [option, property] of Object.entries(schema)) {
        const one: AnySchema = { [option]: property };
        const json = sectionSchema(one, { optional: [option] });
        const fits = ajv.compile({ ...json, definitions: formatDefinitions });
        const own = Array.isArray(property.format) ? property.format : [];
        const refused = [...values, ...own].filter((value) => {
          const problems: Problem[] = [];
          validate(one, { [option]: value }, { path: '', problems });
          const isFine = !problems.some(isError);
          const isSeen = !fits({ [option]: value });
          assert.ok(
            !isFine || !isSeen || judgedLater.includes(option),
            `${option}: ${JSON.stringify(value)} is refused`,
          );
          return !isFine && isSeen;
        });
        if (property.format !== '*') assert.ok(refused.length > 0, `${option} takes everything`);
        const { default: written } = (json.properties as Record<string, { readonly default?: unknown }>)[option] ?? {};
        if (written !== undefined) assert.ok(fits({ [option]: written }), `${option}: ${JSON.stringify(written)}`);
      }
    });
  }
});

describe('the JSON Schemas accept', () => {
  for (const page of tried) {
    it(`the configurations in ${page}`, async () => {
      for (const block of blocks(await read(page), 'yaml')) {
        const value: Value = parse(block);
        if ('scrape_configs' in value) continue;
        for (const program of programsOf(value)) accepts(program, wholeOf(program, value), `${page}:\n${block}`);
      }
    });
  }

  it('the configuration of the stack of containers', async () => {
    const file = 'deploy/compose/synapse.yaml';
    accepts('synapse', parse(await read(file)), file);
  });

  const folder = 'test/real-world';
  it('every configuration of the real world that loads, with its other files', async () => {
    let count = 0;
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      for (const name of await readdir(join(root, folder, entry.name))) {
        const program = /^(nerve|synapse)\./.exec(name)?.[1] as 'nerve' | 'synapse' | undefined;
        const path = join(folder, entry.name, name);
        if (program === undefined || !(await loads(program, join(root, path)))) continue;
        count += 1;
        const value = parseText(await read(path), path, []) as Value;
        accepts(program, value, path);
        const others = value.service_conf_dir;
        if (typeof others !== 'string') continue;
        for (const other of await readdir(join(root, folder, entry.name, others))) {
          const file = join(folder, entry.name, others, other);
          accepts(`${program}-service`, parseText(await read(file), file, []), file);
          count += 1;
        }
      }
    }
    assert.ok(count > 20, `${count} files`);
  });
});

async function loads(program: 'nerve' | 'synapse', file: string): Promise<boolean> {
  try {
    await (program === 'nerve' ? loadConfig({ file, env: {} }) : readSynapseConfig(file, { env: {} }));
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

describe('the first line names the schema in', () => {
  const line = (program: string, folder: string): RegExp =>
    new RegExp(`^# yaml-language-server: \\$schema=${folder}/${program}\\.schema\\.json\n`);

  it('the whole configurations of the pages', async () => {
    let count = 0;
    for (const page of tried) {
      for (const block of blocks(await read(page), 'yaml')) {
        const value: Value = parse(block);
        // Parts of configurations go into files that have the line.
        if (!('etcd' in value && 'services' in value)) continue;
        const [program = '', ...others] = programsOf(value);
        assert.deepEqual(others, []);
        assert.match(block, line(program, '/opt/smartstack/schemas'), page);
        count += 1;
      }
    }
    assert.ok(count >= 2, `${count} configurations`);
  });

  it('the configuration of the stack of containers, as a path that exists', async () => {
    assert.match(await read('deploy/compose/synapse.yaml'), line('synapse', String.raw`\.\./schemas`));
    await readFile(join(root, 'deploy/compose', '../schemas/synapse.schema.json'));
  });

  it('what the role for Ansible writes', async () => {
    const text = await read('deploy/ansible/roles/smartstack/templates/config.yaml.j2');
    assert.match(text, line(String.raw`\{\{ smartstack_daemon \}\}`, String.raw`\{\{ smartstack_folder \}\}/schemas`));
  });
});
