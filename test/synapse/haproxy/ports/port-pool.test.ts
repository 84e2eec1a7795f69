import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Problem, validate } from '../../../../common/config/config.ts';
import { generationOf } from '../../../../synapse/haproxy/configfile/render.ts';
import { haproxySchema } from '../../../../synapse/haproxy/options/config.ts';
import {
  assignSlots,
  type Candidate,
  createSlots,
  occupied,
  rangesOf,
  slotSections,
} from '../../../../synapse/haproxy/ports/port-pool.ts';
import { buildBackendSpec } from '../../../../synapse/haproxy/spec/build-backend.ts';
import { serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';

const config = plainConfig({
  do_socket: true,
  socket_file_path: '/s',
  reload_free_services: { ports: '100-103', listen: ['mode http'], frontend: ['maxconn 10'] },
});
const slots = createSlots(config);

function candidate(service: string, fields: Record<string, unknown>): Candidate {
  const own = serviceConfig({ listen: ['mode http'], frontend: ['maxconn 10'], ...fields });
  const structure = buildBackendSpec(service, own, config);
  assert.ok(structure);
  return { service, structure, config: own };
}

describe('slots', () => {
  it('are one for each port, with the lines of the option', () => {
    assert.deepEqual([...slots.keys()], [100, 101, 102, 103]);
    const { vacant } = slots.get(101) ?? assert.fail();
    assert.equal(vacant.backend, 'port-101');
    assert.deepEqual(vacant.lines, ['mode http']);
    assert.equal(vacant.frontend, undefined);
  });

  const cases: readonly (readonly [string, Record<string, unknown>, string | undefined])[] = [
    ['just these lines', { port: 101 }, undefined],
    ['the port as text', { port: '101' }, undefined],
    ['server options', { port: 101, server_options: 'check inter 3s', cookie_value_method: 'hash' }, undefined],
    [
      'more lines of the frontend',
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
    it(`${obstacle === undefined ? 'take' : 'do not take'} a service with ${what}`, () => {
      const { ports, own } = assignSlots(slots, [candidate('api', fields)]);
      assert.deepEqual([...ports], obstacle === undefined ? [['api', 101]] : []);
      assert.equal(own.get('api'), obstacle);
    });
  }

  it('are none for other ports, and none without a port', () => {
    const { ports, own, blocked } = assignSlots(slots, [candidate('a', { port: 99 }), candidate('b', { port: null })]);
    assert.equal(ports.size + own.size + blocked.size, 0);
  });

  it('are left to a service that listens on their ports by itself', () => {
    const { blocked, ports } = assignSlots(slots, [
      candidate('wide', { port: '101-102' }),
      candidate('api', { port: 103 }),
    ]);
    assert.deepEqual([...blocked], [101, 102]);
    assert.deepEqual([...ports], [['api', 103]]);
  });

  it('belong to the first of several services with one port; the others are told so', () => {
    const { occupants, refused, blocked } = assignSlots(slots, [
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
        ['b', "its port 101 is service a's already"],
        ['wide', "its port 101 is service a's already"],
        ['c', "its port 103 is service own's already"],
      ],
    );
  });

  it('never change the generation by who is there', () => {
    const vacant = [...slots.values()].map((slot) => slot.vacant);
    const slot = slots.get(101) ?? assert.fail();
    const taken = vacant.map((each) =>
      each === slot.vacant ? occupied(slot, candidate('api', { port: 101, server_options: 'check' })) : each,
    );
    assert.equal(generationOf(config, taken), generationOf(config, vacant));
    assert.notEqual(generationOf(config, vacant.slice(1)), generationOf(config, vacant));
  });

  it('are reached through one frontend, which binds no other port', () => {
    const structures = [100, 101, 103].map((port) => (slots.get(port) ?? assert.fail()).vacant);
    assert.deepEqual(slotSections(config, structures), [
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
    assert.deepEqual(slotSections(config, []), []);
  });

  it('rangesOf joins what is in a row', () => {
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
    it(`with ${what} is an error that says what is allowed`, () => {
      const problems: Problem[] = [];
      validate(haproxySchema, { reload_free_services: value }, { path: 'haproxy', problems });
      assert.equal(problems.length, 1);
      assert.equal(problems[0]?.path, 'haproxy.reload_free_services');
      assert.match(problems[0]?.message ?? '', message);
    });
  }
});
