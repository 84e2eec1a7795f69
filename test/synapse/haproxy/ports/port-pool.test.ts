import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Problem, validate } from '../../../../common/config/config.ts';
import { generationOf } from '../../../../synapse/haproxy/configfile/render.ts';
import { haproxySchema } from '../../../../synapse/haproxy/options/config.ts';
import {
  assignPorts,
  type Candidate,
  createPortPool,
  occupiedSpec,
  type PoolPort,
  poolSections,
  rangesOf,
} from '../../../../synapse/haproxy/ports/port-pool.ts';
import { buildBackendSpec } from '../../../../synapse/haproxy/spec/build-backend.ts';
import { serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';

const config = plainConfig({
  do_socket: true,
  socket_file_path: '/s',
  reload_free_services: { ports: '100-103', listen: ['mode http'], frontend: ['maxconn 10'] },
});
const pool = createPortPool(config);

function candidate(service: string, fields: Record<string, unknown>): Candidate {
  const own = serviceConfig({ listen: ['mode http'], frontend: ['maxconn 10'], ...fields });
  const spec = buildBackendSpec(service, own, config);
  assert.ok(spec);
  return { service, spec, config: own };
}

function portOf(port: number): PoolPort {
  return pool.get(port) ?? assert.fail(`the pool has no port ${port}`);
}

describe('the port pool', () => {
  it('has one empty backend for each port, with the lines of reload_free_services', () => {
    assert.deepEqual([...pool.keys()], [100, 101, 102, 103]);
    const { vacant } = portOf(101);
    assert.equal(vacant.backend, 'port-101');
    assert.deepEqual(vacant.lines, ['mode http']);
    assert.equal(vacant.frontend, undefined);
  });

  const cases: readonly (readonly [string, Record<string, unknown>, string | undefined])[] = [
    ['just these lines', { port: 101 }, undefined],
    ['the port as text', { port: '101' }, undefined],
    ['server options', { port: 101, server_options: 'check inter 3s', cookie_value_method: 'hash' }, undefined],
    [
      'other lines of the frontend',
      { port: 101, frontend: [] },
      'its frontend has other lines than reload_free_services',
    ],
    [
      'more lines of the backend',
      { port: 101, backend: ['balance leastconn'] },
      'its backend has other lines than reload_free_services',
    ],
    [
      'another address',
      { port: 101, bind_address: '127.0.0.9' },
      'its frontend has other lines than reload_free_services',
    ],
    [
      'options of the bind line',
      { port: 101, bind_options: 'ssl' },
      'its frontend has other lines than reload_free_services',
    ],
    ['a name for its backend', { port: 101, backend_name: 'other' }, 'it has a backend_name'],
    ['several ports', { port: '101-102' }, 'it has several ports'],
  ];
  for (const [what, fields, obstacle] of cases) {
    it(`${obstacle === undefined ? 'takes' : 'does not take'} a service with ${what}`, () => {
      const { ports, ownFrontend } = assignPorts(pool, [candidate('api', fields)]);
      assert.deepEqual([...ports], obstacle === undefined ? [['api', 101]] : []);
      assert.equal(ownFrontend.get('api'), obstacle);
    });
  }

  it('leaves services alone that have another port, or none', () => {
    const candidates = [candidate('a', { port: 99 }), candidate('b', { port: null })];
    const { ports, ownFrontend, blocked } = assignPorts(pool, candidates);
    assert.equal(ports.size + ownFrontend.size + blocked.size, 0);
  });

  it('leaves its ports to a service that listens on them with a frontend of its own', () => {
    const { blocked, ports } = assignPorts(pool, [
      candidate('wide', { port: '101-102' }),
      candidate('api', { port: 103 }),
    ]);
    assert.deepEqual([...blocked], [101, 102]);
    assert.deepEqual([...ports], [['api', 103]]);
  });

  it('gives a port to the first of several services, and tells the others who has it', () => {
    const { occupants, refused, blocked } = assignPorts(pool, [
      candidate('a', { port: 101 }),
      candidate('b', { port: 101 }),
      candidate('wide', { port: '100-102' }),
      candidate('own', { port: 103, backend_name: 'own' }),
      candidate('c', { port: 103 }),
    ]);
    assert.equal(occupants.get(101)?.service, 'a');
    assert.deepEqual([...blocked], [103]);
    assert.deepEqual(
      [...refused],
      [
        ['b', 'its port 101 is that of services.a.haproxy.port already'],
        ['wide', 'its port 101 is that of services.a.haproxy.port already'],
        ['c', 'its port 103 is that of services.own.haproxy.port already'],
      ],
    );
  });

  it('has the same generation whichever services are on its ports', () => {
    const vacant = [...pool.values()].map((port) => port.vacant);
    const port = portOf(101);
    const taken = vacant.map((each) =>
      each === port.vacant ? occupiedSpec(port, candidate('api', { port: 101, server_options: 'check' })) : each,
    );
    assert.equal(generationOf(config, taken), generationOf(config, vacant));
    assert.notEqual(generationOf(config, vacant.slice(1)), generationOf(config, vacant));
  });

  it('has one frontend, which binds just its ports', () => {
    const specs = [100, 101, 103].map((port) => portOf(port).vacant);
    assert.deepEqual(poolSections(config, specs), [
      {
        title: 'frontend reload-free-services',
        lines: [
          'maxconn 10',
          'mode http',
          'bind localhost:100-101',
          'bind localhost:103',
          'use_backend port-%[dst_port]',
        ],
      },
    ]);
    assert.deepEqual(poolSections(config, []), []);
  });

  it('writes ports in a row as a range', () => {
    assert.deepEqual(rangesOf([]), []);
    assert.deepEqual(rangesOf([7, 1, 3, 2, 9, 8]), ['1-3', '7-9']);
  });
});

describe('reload_free_services', () => {
  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ['no ports', {}, /ports: is required: must be two ports FIRST-LAST/],
    ['ports the wrong way round', { ports: '200-100' }, /ports: must be two ports FIRST-LAST/],
    ['too many ports', { ports: '1000-2000' }, /at most 1000 ports/],
    ['an unknown key', { ports: '1-2', port: 3 }, /port: unknown key; did you mean ports\?/],
    ['no object', '1-2', /must be an object of options/],
  ];
  for (const [what, value, message] of wrong) {
    it(`is refused with ${what}, and the error says what is allowed`, () => {
      const problems: Problem[] = [];
      validate(haproxySchema, { reload_free_services: value }, { path: 'haproxy', problems });
      assert.equal(problems.length, 1);
      assert.equal(problems[0]?.path, 'haproxy.reload_free_services');
      assert.match(problems[0]?.message ?? '', message);
    });
  }
});
