import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig } from '../../../nerve/config/config.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const remote = { hosts: ['http://10.0.0.9:2379'] };
const noop = [{ type: 'noop' }];
const service = (more: object) => ({ services: { api: { host: '10.0.0.1', port: 1, checks: noop, ...more } } });

describe('a configuration of nerve with what is rarely meant', () => {
  const cases: readonly (readonly [what: string, value: object, warnings: readonly string[]])[] = [
    ['nothing of it', { etcd: remote, ...service({}) }, []],
    [
      'a loopback address for other hosts',
      { etcd: remote, ...service({ host: 'localhost' }) },
      [
        'services.api.host: localhost is announced, and on every other host that is the other host itself: write auto, or an ' +
          'address of this host, and host: 127.0.0.1 in the checks',
      ],
    ],
    ['a loopback address with etcd on this host', service({ host: '127.0.0.1' }), []],
    [
      'a loopback address in the cluster of one service',
      service({ host: '127.0.0.1', etcd_host: 'etcd-1' }),
      [
        'services.api.host: 127.0.0.1 is announced, and on every other host that is the other host itself: write auto, or an ' +
          'address of this host, and host: 127.0.0.1 in the checks',
      ],
    ],
    [
      'seconds that look like milliseconds',
      service({ check_interval: 500, checks: [{ type: 'tcp', timeout: '2000', interval: 1, fast_interval: 100 }] }),
      [
        'services.api.check_interval: 500 are seconds: write "500ms" for milliseconds, or "500s" if it is meant',
        'services.api.checks[0].timeout: 2000 are seconds: write "2000ms" for milliseconds, or "2000s" if it is meant',
        'services.api.checks[0].fast_interval: 100 are seconds: write "100ms" for milliseconds, or "100s" if it is meant',
      ],
    ],
    ['long times with a unit', service({ check_interval: '500s', checks: [{ type: 'tcp', timeout: '5m' }] }), []],
    [
      "the options of a user's own check, which may mean anything",
      service({ checks: [{ type: 'module', file: '/x.mjs', options: { timeout: 500 } }] }),
      [],
    ],
    [
      'TLS files without TLS',
      service({ checks: [{ type: 'redis', ssl_ca: '/ca.pem', ssl_verify: false, ssl_key: null }] }),
      [
        'services.api.checks[0].ssl_verify: has no effect without ssl: true',
        'services.api.checks[0].ssl_ca: has no effect without ssl: true',
      ],
    ],
    [
      'labels and variables, which are no times',
      service({
        labels: { timeout: '500' },
        checks: [{ type: 'exec', command: ['/bin/true'], env: { timeout: '500' } }],
      }),
      [],
    ],
    [
      'times of one instance',
      service({ port: null, instances: [{ port: 1, checks: [{ type: 'tcp', timeout: 300 }] }] }),
      [
        'services.api.instances[0].checks[0].timeout: 300 are seconds: write "300ms" for milliseconds, or "5m" if it is meant',
      ],
    ],
    ['TLS files with TLS', service({ checks: [{ type: 'redis', ssl: 'yes', ssl_ca: '/ca.pem' }] }), []],
    ['TLS files of the check tls', service({ checks: [{ type: 'tls', ssl_ca: '/ca.pem' }] }), []],
  ];
  for (const [what, value, warnings] of cases) {
    it(`loads, and has ${warnings.length === 0 ? 'no warning' : 'a warning for each'}: ${what}`, async (t) => {
      const file = join(await tempFolder(t), 'nerve.json');
      await writeFile(file, JSON.stringify(value));
      const { log, lines } = recordingLog();
      await loadConfig({ file, env: {} }, { log });
      assert.deepEqual(lines.map(({ fields }) => `${fields?.path}: ${fields?.reason}`).toSorted(), warnings.toSorted());
    });
  }
});
