import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkHaproxyConfig } from '../../../../synapse/haproxy/options/check-config.ts';
import { checkServiceConfig } from '../../../../synapse/haproxy/options/service-config.ts';
import { buildBackendSpec } from '../../../../synapse/haproxy/spec/build-backend.ts';
import { haproxyConfig, serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';

describe('a runtime socket in the global section', () => {
  for (const [line, isWeak] of [
    ['stats socket /s mode 660 level admin', false],
    ['stats socket /s level  admin', false],
    ['stats socket /s mode 660', true],
    ['stats socket unix@/s level operator', true],
    ['  stats   socket /s', true],
    ['stats socket /other', false],
    ['stats socket /other level user', false],
  ] as const) {
    it(`'${line}' ${isWeak ? 'gets a warning, because synapse may change nothing there' : 'is fine'}`, () => {
      const config = haproxyConfig({
        global: ['daemon', line],
        defaults: ['mode http'],
        config_file_path: '/f',
        socket_file_path: '/s',
        reload_command: 'true',
      });
      const problems = checkHaproxyConfig(config, 'haproxy');
      assert.deepEqual(
        problems.map(({ path, severity }) => [path, severity]),
        isWeak ? [['haproxy.global[1]', 'warning']] : [],
      );
    });
  }
});

describe('options that need each other', () => {
  const cases: readonly [string, Record<string, unknown>, readonly string[]][] = [
    ['nothing given', {}, ['global', 'defaults', 'config_file_path', 'socket_file_path', 'reload_command']],
    [
      'sections that are there and empty',
      { global: [], defaults: [], do_writes: false, do_socket: false, do_reloads: false },
      [],
    ],
    [
      'a program that watches the file and reloads',
      { global: ['daemon'], defaults: ['mode http'], config_file_path: '/f', socket_file_path: '/s', watched: true },
      [],
    ],
    [
      'all switched off',
      { global: ['daemon'], defaults: ['mode http'], do_writes: false, do_socket: false, do_reloads: false },
      [],
    ],
    [
      'a master socket instead of a command',
      {
        global: ['daemon'],
        defaults: ['mode http'],
        config_file_path: '/f',
        socket_file_path: '/s',
        master_socket_path: '/m',
      },
      [],
    ],
    [
      'a check command without a candidate',
      {
        global: ['daemon'],
        defaults: ['mode http'],
        config_file_path: '/f',
        socket_file_path: '/s',
        reload_command: 'true',
        do_checks: true,
        check_command: 'true',
      },
      ['candidate_config_file_path'],
    ],
  ];
  for (const [what, value, wrong] of cases) {
    it(what, () => {
      const problems = checkHaproxyConfig(haproxyConfig(value), 'haproxy', value);
      assert.deepEqual(
        problems.map(({ path }) => path.replace('haproxy.', '')),
        wrong,
      );
    });
  }
  it('names both options', () => {
    const [problem] = checkHaproxyConfig(
      haproxyConfig({ global: ['a'], defaults: ['b'], do_writes: false, do_socket: false }),
      'haproxy',
    );
    assert.match(problem?.message ?? '', /the `reload_command` option is required when `do_reloads` is true/);
  });
  it('keeps a service from breaking out of its line', () => {
    const problems = checkServiceConfig(
      { ...serviceConfig({ port: 1 }), backend_name: 'a b', server_options: 'x\nglobal', bind_options: 'a\rb' },
      'services.api.haproxy',
    );
    assert.deepEqual(problems.map(({ path }) => path.split('.').at(-1)).sort(), [
      'backend_name',
      'bind_options',
      'server_options',
    ]);
    assert.throws(() => buildBackendSpec('a b', serviceConfig({ port: 1 }), plainConfig()), /cannot name/);
  });
});
