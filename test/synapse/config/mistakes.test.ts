import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readSynapseConfig } from '../../../synapse/config/config.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** The smallest `haproxy` section that is valid. */
const haproxy = { global: [], defaults: [], do_writes: false, do_socket: false, do_reloads: false };
const service = (section: object, discovery: object = { method: 'etcd' }, more: object = {}) => ({
  services: { api: { discovery, haproxy: { port: 8, ...section }, ...more } },
});
const empty =
  'services.api.discovery.servers: is empty, so that the service can have no servers: list them here, or choose another method';

describe('a value in the configuration of synapse that SmartStack ignores in silence', () => {
  const cases: readonly (readonly [what: string, value: object, warnings: readonly string[]])[] = [
    ['none', service({ backend_order: 'asc', cookie_value_method: 'hash', server_options: 'check' }), []],
    ['options without a value', service({ backend_order: null, cookie_value_method: '', server_options: null }), []],
    [
      'words that mean nothing',
      service({ backend_order: 'decs', cookie_value_method: 'md5' }),
      [
        'services.api.haproxy.backend_order: "decs" means nothing, and the default counts; did you mean desc?',
        'services.api.haproxy.cookie_value_method: "md5" means nothing, and the default counts; known are hash',
      ],
    ],
    [
      'server_options that are a list',
      service({ server_options: ['check', 'inter 2s'] }),
      ['services.api.haproxy.server_options: is no text, and servers get no options from it; write "check inter 2s"'],
    ],
    [
      'server_options that are an object',
      service({ server_options: { check: true } }),
      ['services.api.haproxy.server_options: is no text, and servers get no options from it; write "check inter 2s"'],
    ],
    ['a list of servers that is empty', service({}, { method: 'static' }), [empty]],
    ['a list of servers that is empty, by its old name', service({}, { method: 'base', servers: [] }), [empty]],
    ['a list of servers', service({}, { method: 'static', servers: [{ host: 'a', port: 1 }] }), []],
    ['default servers only', service({}, { method: 'base' }, { default_servers: [{ host: '10.0.0.1', port: 1 }] }), []],
    ['servers that are lines', service({ backend: ['server a 10.0.0.1:1'] }, { method: 'base' }), []],
    ['no place in HAProxy', service({ disabled: true }, { method: 'base' }), []],
    ['a list with a fallback', service({}, { method: 'static', fallback: { method: 'etcd' } }), []],
  ];
  for (const [what, value, warnings] of cases) {
    it(`has ${warnings.length === 0 ? 'no warning where it has a meaning' : 'a warning'}: ${what}`, async (t) => {
      const file = join(await tempFolder(t), 'synapse.json');
      await writeFile(file, JSON.stringify({ ...value, haproxy }));
      const { log, lines } = recordingLog();
      await readSynapseConfig(file, { env: {}, log });
      assert.deepEqual(
        lines.map(({ fields }) => `${fields?.path}: ${fields?.reason}`),
        warnings,
      );
    });
  }

  it('is not offered for a misspelt key when it would be refused', async (t) => {
    const file = join(await tempFolder(t), 'synapse.json');
    await writeFile(file, JSON.stringify({ haproxy, nnginx: {}, zzz: 1 }));
    await assert.rejects(readSynapseConfig(file, { env: {} }), (error: Error) => {
      assert.doesNotMatch(error.message, /mean nginx|, nginx/);
      return true;
    });
  });
});
