// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ConfigError, type Problem, readConfig, settleProblems } from '../../../common/config/config.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** Writes files into a new folder. */
async function files(t: TestContext, contents: Readonly<Record<string, string>>): Promise<string> {
  const folder = await tempFolder(t);
  for (const [name, text] of Object.entries(contents)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

async function problemsOf(promise: Promise<unknown>, folder: string): Promise<readonly string[]> {
  const error = await promise.then(
    () => assert.fail('it was accepted'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError, String(error));
  return error.message.replaceAll(`${folder}/`, '').split('\n');
}

describe('readConfig', () => {
  it('leaves out the key $schema of each file, which is for editors', async (t) => {
    const folder = await files(t, {
      'main.json':
        '{"$schema": "nerve.schema.json", "service_conf_dir": "conf.d", "services": {"old": {"$schema": "x"}}}',
      'conf.d/api.json': '{"$schema": "nerve-service.schema.json", "port": 4}',
    });
    const { value } = await readConfig(join(folder, 'main.json'), { env: {}, cwd: folder });
    // Inside a file it is a key as any other, which the daemon refuses.
    assert.deepEqual(value, { service_conf_dir: 'conf.d', services: { old: { $schema: 'x' }, api: { port: 4 } } });
  });

  it('reads a file, its services and its variables, and knows the file of each option', async (t) => {
    const folder = await files(t, {
      'main.json': '{"service_conf_dir": "${DIR}", "services": {"api": {"port": 1}, "old": {"port": 2}}, "x": 1,}',
      'conf.d/api.yaml': 'port: ${PORT:-3}\n',
      'conf.d/web.json': '{"port": 4}',
      'conf.d/with.dot.yml': 'port: 5',
      'conf.d/.hidden.yaml': '}{',
      'conf.d/readme.txt': '}{',
    });
    const document = await readConfig(join(folder, 'main.json'), { env: { DIR: 'conf.d' }, cwd: '/nonexistent' });
    assert.deepEqual(document.value, {
      service_conf_dir: 'conf.d',
      services: { api: { port: '3' }, old: { port: 2 }, web: { port: 4 }, 'with.dot': { port: 5 } },
      x: 1,
    });
    const places = [
      'services.api.port',
      'services.api',
      'services.apis',
      'services.old.port',
      'services["with.dot"].port',
      'x',
    ];
    assert.deepEqual(
      places.map((place) => document.fileOf(place).replace(`${folder}/`, '')),
      ['conf.d/api.yaml', 'conf.d/api.yaml', 'main.json', 'main.json', 'conf.d/with.dot.yml', 'main.json'],
    );
  });

  it('looks for service_conf_dir in the working directory first', async (t) => {
    const folder = await files(t, {
      'etc/main.json': '{"service_conf_dir": "conf.d"}',
      'etc/conf.d/beside.json': '{}',
      'conf.d/cwd.json': '{}',
    });
    const { value } = await readConfig(join(folder, 'etc/main.json'), { cwd: folder });
    assert.deepEqual(value.services, { cwd: {} });
  });

  it('reads a file with only comments as an object without options', async (t) => {
    const folder = await files(t, { 'a.yaml': '# services:\n', 'b.json': '{"services": null}' });
    assert.deepEqual((await readConfig(join(folder, 'a.yaml'))).value, {});
    assert.deepEqual((await readConfig(join(folder, 'b.json'))).value, { services: null });
  });

  it('replaces nothing in raw options, also in the files of single services', async (t) => {
    const folder = await files(t, {
      'a.json': '{"service_conf_dir": "d", "haproxy": {"global": ["${X}"], "path": "${Y}"}}',
      'd/api.json': '{"haproxy": {"listen": ["${X}"]}, "host": "${Y}"}',
    });
    const raw = ['haproxy.global', 'services.*.haproxy.listen'];
    const { value } = await readConfig(join(folder, 'a.json'), { env: { Y: 'y' }, raw });
    assert.deepEqual(value, {
      service_conf_dir: 'd',
      haproxy: { global: ['${X}'], path: 'y' },
      services: { api: { haproxy: { listen: ['${X}'] }, host: 'y' } },
    });
  });

  const wrong: readonly [sentence: string, contents: Readonly<Record<string, string>>, problems: readonly string[]][] =
    [
      ['a file that does not exist', {}, ['a.json: does not exist']],
      ['a folder', { 'a.json/b': '' }, ['a.json: is a folder, not a file']],
      [
        'a file that was cut off at its start',
        { 'a.json': ' \n' },
        ['a.json: is empty; write {} for a configuration without options'],
      ],
      ['a list', { 'a.json': '[1]' }, ['a.json: must be an object of options, not [1]']],
      [
        'a missing service_conf_dir',
        { 'a.json': '{"service_conf_dir": "/nonexistent/d"}' },
        ['a.json: service_conf_dir: there is no folder "/nonexistent/d"; tried /nonexistent/d'],
      ],
      [
        'a service_conf_dir that is a file',
        { 'a.json': '{"service_conf_dir": "b"}', b: '' },
        ['a.json: service_conf_dir: b is not a folder'],
      ],
      [
        'a service_conf_dir that is a number',
        { 'a.json': '{"service_conf_dir": 5}' },
        ["a.json: service_conf_dir: must be a folder's path, not 5"],
      ],
      [
        'two files for one service',
        { 'a.json': '{"service_conf_dir": "d"}', 'd/s.json': '{}', 'd/s.yaml': '' },
        ['a.json: service_conf_dir: d/s.yaml and d/s.json are the same service'],
      ],
      [
        'a service named __proto__',
        { 'a.json': '{"services": {"__proto__": {"x": 1}}}' },
        ['a.json: services.__proto__: this name is reserved'],
      ],
      [
        'a file named __proto__',
        { 'a.json': '{"service_conf_dir": "d"}', 'd/__proto__.json': '{}' },
        ['a.json: service_conf_dir: d/__proto__.json: this name is reserved'],
      ],
      [
        'problems of all files together',
        {
          'a.json': '{"service_conf_dir": "d", "x": "${NOPE}"}',
          'd/bad.yaml': 'a: [',
          'd/list.json': '[]',
          'd/variable.json': '{"checks": [{"uri": "${GONE}"}]}',
        },
        [
          'a.json: x: environment variable NOPE is not set; set it or give a default: ${NOPE:-default}',
          'd/bad.yaml:1:5: services.bad: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
          'd/list.json: services.list: must be an object of options, not []',
          'd/variable.json: services.variable.checks[0].uri: environment variable GONE is not set; set it or give a default: ${GONE:-default}',
        ],
      ],
    ];
  for (const [sentence, contents, problems] of wrong) {
    it(`reports ${sentence}`, async (t) => {
      const folder = await files(t, contents);
      const reading = readConfig(join(folder, 'a.json'), { env: {}, cwd: folder });
      assert.deepEqual(await problemsOf(reading, folder), problems);
    });
  }
});

describe('settleProblems', () => {
  const document = {
    file: 'main',
    value: {},
    warnings: [],
    fileOf: (path: string) => (path.startsWith('services') ? 'conf.d' : 'main'),
  };

  it('throws all errors, each with its file', () => {
    const problems: Problem[] = [
      { path: 'a', message: 'bad' },
      { path: 'services.x', message: 'worse' },
    ];
    assert.throws(() => settleProblems(problems, document), {
      name: 'ConfigError',
      message: 'main: a: bad\nconf.d: services.x: worse',
    });
  });

  it('logs warnings and throws nothing when there are no errors', () => {
    const { log, lines } = recordingLog();
    settleProblems([{ path: 'a', message: 'old', severity: 'warning' }], document, log);
    assert.deepEqual(lines, [
      { level: 'warn', message: 'configuration warning', fields: { file: 'main', path: 'a', reason: 'old' } },
    ]);
  });
});
