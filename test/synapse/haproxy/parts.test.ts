import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeInstance } from '../../../common/instance.ts';
import { checkHaproxyConfig } from '../../../synapse/haproxy/options/config.ts';
import { checkServiceConfig } from '../../../synapse/haproxy/options/service-config.ts';
import { parseProc } from '../../../synapse/haproxy/reload/master.ts';
import { addedLines, buildBackendSpec } from '../../../synapse/haproxy/spec/build-backend.ts';
import { capabilitiesOf } from '../../../synapse/haproxy/spec/capabilities.ts';
import {
  createDesiredService,
  diffInstances,
  ServerIds,
  takeInstances,
} from '../../../synapse/haproxy/spec/desired-service.ts';
import { rewriteSections } from '../../../synapse/haproxy/spec/legacy-directives.ts';
import { placeOf } from '../../../synapse/haproxy/spec/listen-lines.ts';
import { parseConfig } from '../../../synapse/haproxy/spec/parse-config.ts';
import { maxconnOf } from '../../../synapse/haproxy/spec/server.ts';
import { filterOptions, parseOptions } from '../../../synapse/haproxy/spec/server-options.ts';
import type { BackendSpec } from '../../../synapse/haproxy/spec/types.ts';
import { haproxyConfig, serviceConfig } from '../../support/haproxy/haproxy-output.ts';
import { plainConfig } from '../../support/haproxy/haproxy-text.ts';

describe('where a listen line belongs', () => {
  const cases = {
    both: [
      'mode http',
      'option httplog',
      'acl a path /',
      'http-request deny',
      'stick-table type ip size 1',
      'timeout http-request 5s',
      'some-future-directive x',
    ],
    frontend: [
      'bind :80',
      'maxconn 10',
      '  Timeout   Client 5s',
      'no option dontlognull',
      'capture request header X len 5',
      'use_backend b if a',
    ],
    backend: [
      'balance source',
      'option httpchk GET /',
      'no option redispatch',
      'http-check expect string OK',
      'timeout server 5s',
      'retry-on all-retryable-errors',
      'cookie A insert',
      'stick on src',
      'default-server inter 2s',
    ],
  } as const;
  for (const [place, lines] of Object.entries(cases)) {
    for (const line of lines) it(`${line} → ${place}`, () => assert.equal(placeOf(line), place));
  }
});

describe('the numbers of servers', () => {
  it('keeps those that are known, and gives out the lowest free ones', () => {
    const ids = new ServerIds(5);
    ids.reset([
      ['a', 2],
      ['tombstone', 1],
    ]);
    assert.deepEqual([ids.claim('b'), ids.claim('a'), ids.claim('c'), ids.claim('b')], [3, 2, 4, 3]);
    assert.equal(ids.claim('d', 4), 5);
    assert.equal(ids.claim('e'), undefined);
    ids.reset([['c', 4]]);
    assert.deepEqual([ids.claim('e'), ids.get('c'), ids.get('a')], [1, 4, undefined]);
  });
});

describe('options from the registry', () => {
  const trusted = new Set(['backup', 'weight', 'inter', 'port', 'maxconn', 'cookie']);
  const cases: readonly [string, string, string][] = [
    ['backup weight 5', 'backup weight 5', ''],
    ['weight 257', '', 'weight 257'],
    ['weight', '', 'weight'],
    ['inter 2s inter 0 inter soon', 'inter 2s', 'inter 0,inter soon'],
    ['source 0.0.0.0 backup', 'backup', 'source 0.0.0.0'],
    ['port 70000 port 80', 'port 80', 'port 70000'],
    ['constructor toString', '', 'constructor,toString'],
  ];
  for (const [text, kept, refused] of cases) {
    it(`'${text}' keeps '${kept}'`, () => {
      const result = filterOptions(text, trusted);
      assert.equal(result.options.map(({ keyword, values }) => [keyword, ...values].join(' ')).join(' '), kept);
      assert.equal(result.refused.join(','), refused);
    });
  }
  it('takes any value of a keyword that a user listed', () => {
    assert.equal(filterOptions('sni req.hdr(host)', new Set(['sni'])).options.length, 1);
    assert.equal(filterOptions('anything goes', new Set(['*'])).refused.length, 0);
  });
});

describe('what HAProxy says about itself', () => {
  it('reads the master', () => {
    const reply =
      '#<PID>          <type>          <reloads>       <uptime>        <version>\n1162            master          5 [failed: 1]   0d00h02m07s     2.6\n# workers\n1271            worker          0   0d00h00m00s 2.6\n# old workers\n1233            worker          3   0d 2.6\n# programs\n';
    assert.deepEqual(parseProc(reply), { reloads: 5, failed: 1, oldWorkers: 1 });
    assert.throws(() => parseProc(''), /show proc answered/);
  });
  it('knows what each version can do', () => {
    const can = (version: string) => {
      const able = capabilitiesOf(version);
      const { addServer, canDeleteServer, deleteServer, dynamicCookie, poolOptions, synchronousReload } = able;
      return [addServer, canDeleteServer, deleteServer, dynamicCookie, poolOptions, synchronousReload]
        .map(Number)
        .join('');
    };
    assert.deepEqual(['2.4.22', '2.6.12-1+deb12u4', '2.8.5', '3.0.11', '3.2.26', '3.10.1', 'unknown'].map(can), [
      '000010',
      '100010',
      '100011',
      '110101',
      '111101',
      '111101',
      '000010',
    ]);
  });
});

describe('a file that is there', () => {
  it('tells its generation and its servers, whatever else is in it', () => {
    const text =
      '# hello\nglobal\n\tsetenv SYNAPSE_GEN abc\n\nlisten l\n\tserver x 1.1.1.1:1 id 7 \nfrontend f\n\tserver no 1:1\nbackend b\n\tbalance x\n\tserver y 2.2.2.2:2 id 8 cookie y check weight 4 backup\n';
    const file = parseConfig(text);
    assert.equal(file.generation, 'abc');
    assert.deepEqual([...file.backends.keys()], ['l', 'b']);
    assert.deepEqual(file.backends.get('l')?.get('x')?.line, 'server x 1.1.1.1:1 id 7 ');
    assert.deepEqual(maxconnOf(parseOptions('check maxconn 6')), 6);
    assert.deepEqual(maxconnOf(parseOptions('maxconn 6 minconn 2')), null);
    assert.deepEqual(maxconnOf(parseOptions('maxconn many')), null);
    const { id, weight, fixedWords } = file.backends.get('b')?.get('y') ?? {};
    assert.deepEqual([id, weight, fixedWords], [8, 4, 'cookie y check backup']);
    assert.equal(parseConfig('').generation, undefined);
  });
});

describe('changes of membership', () => {
  const structure = buildBackendSpec('api', serviceConfig({ port: 1 }), plainConfig()) as BackendSpec;
  const make = (port: number, state: 'up' | 'drain' | 'down' = 'up') => makeInstance({ host: '10.0.0.1', port, state });
  const [one, two, three] = [make(1), make(2), make(3)];

  it('are found between what is equal at both ends', () => {
    assert.deepEqual(diffInstances([one, two, three], [one, three]), { removed: [two], added: [] });
    assert.deepEqual(diffInstances([one, three], [one, two, three]), { removed: [], added: [two] });
    assert.deepEqual(diffInstances([one], [one]), { removed: [], added: [] });
    assert.deepEqual(diffInstances([one, one], [one]), { removed: [one], added: [] });
    assert.deepEqual(diffInstances([one, two], [two, one]), { removed: [one, two], added: [two, one] });
  });

  it('say what each server should be now', () => {
    const desired = createDesiredService('api', 10);
    const names = (...lists: (readonly ReturnType<typeof make>[])[]) =>
      lists.map((list) =>
        takeInstances(desired, structure, list, 1000).map(
          ({ name, server }) => `${name.split(':')[1]} ${server?.state ?? 'gone'}`,
        ),
      );
    assert.deepEqual(names([one, two], [one], [one, one], [one], [make(1, 'drain')], [make(1, 'down')], []), [
      ['1 ready', '2 ready'],
      ['2 gone'],
      ['1 ready'],
      ['1 ready'],
      ['1 drain'],
      ['1 gone'],
      ['1 gone'],
    ]);
    assert.deepEqual([...desired.leaving.keys()], ['10.0.0.1:1']);
    names([one]);
    assert.equal(desired.leaving.size, 0);
  });
});

describe('old forms of sections', () => {
  it('moves an address on the title line to a bind line', () => {
    const { sections, notes } = rewriteSections({
      'listen stats :1937': ['stats enable'],
      'listen x': ['bind :1'],
      'backend b': [],
    });
    assert.deepEqual(sections, [
      { title: 'listen stats', lines: ['bind :1937', 'stats enable'] },
      { title: 'listen x', lines: ['bind :1'] },
      { title: 'backend b', lines: [] },
    ]);
    assert.equal(notes.length, 1);
  });
});

describe('lines that are added', () => {
  it('only where the user has not decided', () => {
    const config = haproxyConfig({
      global: ['stats socket /run/a.sock level admin', 'stats timeout 5m', 'hard-stop-after 1m', 'stats maxconn 5'],
      defaults: [
        'mode http',
        'no option redispatch',
        'option idle-close-on-response',
        'default-server inter 2s init-addr libc',
      ],
      socket_file_path: '/run/a.sock',
    });
    assert.deepEqual(addedLines(config), { global: [], defaults: [] });
  });
  it('for every socket, and not for TCP what only HTTP takes', () => {
    const config = haproxyConfig({
      global: ['daemon'],
      defaults: ['mode tcp'],
      socket_file_path: ['/a.sock', '/b.sock'],
    });
    const { global, defaults } = addedLines(config);
    assert.deepEqual(global.slice(0, 2), [
      'stats socket /a.sock mode 660 level admin',
      'stats socket /b.sock mode 660 level admin',
    ]);
    assert.deepEqual(defaults, ['option redispatch', 'default-server init-addr last,libc,none']);
  });
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
      'somebody else who reloads',
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
