import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServerRow } from '../../../../synapse/haproxy/runtime/parse.ts';
import { runningServerOf, ServerState } from '../../../../synapse/haproxy/runtime/server-state.ts';
import { parseConfig } from '../../../../synapse/haproxy/spec/parse-config.ts';
import type { RunningServer } from '../../../../synapse/haproxy/spec/types.ts';

const row: ServerRow = {
  backend: 'b',
  backendId: 1,
  name: 'n',
  id: 1,
  address: '1.1.1.1:1',
  maintenance: false,
  drained: false,
  weight: 5,
  failing: false,
  stopped: false,
  disabled: false,
  withheld: false,
  checked: true,
  initialWeight: 2,
};

describe('ServerState', () => {
  const file = parseConfig('global\n\tsetenv SYNAPSE_GEN g\nbackend b\n\tserver n 1.1.1.1:1\nbackend empty\n');
  const backends = (state: ServerState) => [...state.running].map(([name, servers]) => [name, [...servers.keys()]]);

  it('tells at the first reading by the file that was found at the start, also when it was written since, what is ours', () => {
    const found = parseConfig('global\n\tsetenv SYNAPSE_GEN g\nbackend b\n\tserver n 1.1.1.1:1\n');
    const written = parseConfig('global\n\tsetenv SYNAPSE_GEN g\nbackend b\n\tserver n 1.1.1.1:1 weight 0\n');
    const state = new ServerState(
      () => written,
      () => found,
    );
    state.replace([{ ...row, maintenance: true, weight: 0 }], 'first', 'g');
    assert.equal(state.running.get('b')?.get('n')?.ours, true);
  });

  it('knows the empty backends of a worker that has loaded the present file', () => {
    const state = new ServerState(() => file);
    state.replace([row], 'first', 'g');
    assert.deepEqual(backends(state), [
      ['b', ['n']],
      ['empty', []],
    ]);
  });

  it('knows only backends with servers of a worker that has loaded another file', () => {
    const state = new ServerState(() => file);
    state.replace([row], 'first', 'another');
    assert.deepEqual(backends(state), [['b', ['n']]]);
  });

  const found: readonly (readonly [what: string, fields: Partial<ServerRow>, ours: boolean])[] = [
    ['maintenance of a server in the file was set by an operator', { maintenance: true }, false],
    ['maintenance with weight 0 was set by a synapse that was killed', { maintenance: true, weight: 0 }, true],
    ['maintenance of a server that is not in the file was set by synapse', { maintenance: true, name: 'other' }, true],
    ['a weight of 0 alone is no maintenance', { weight: 0 }, false],
  ];
  for (const [what, fields, ours] of found) {
    it(`at the start: ${what}`, () => {
      const state = new ServerState(() => file);
      const read = { ...row, ...fields };
      state.replace([read], 'first', 'g');
      assert.equal(state.running.get('b')?.get(read.name)?.ours, ours);
    });
  }

  it('still knows the empty backends when the same worker is read again', () => {
    const state = new ServerState(() => file);
    state.replace([row], 'first', 'g');
    state.replace([], 'same', 'g');
    assert.deepEqual(backends(state), [
      ['b', []],
      ['empty', []],
    ]);
  });

  it('forgets the backends of the worker before', () => {
    const state = new ServerState(() => file);
    state.replace([row, { ...row, backend: 'old' }], 'first', 'another');
    state.replace([row], 'new', 'g');
    assert.deepEqual(backends(state), [
      ['b', ['n']],
      ['empty', []],
    ]);
  });

  const later: readonly Partial<ServerRow>[] = [
    { id: 2 },
    { address: '1.1.1.2:1' },
    { resolved: '1.1.1.3:1' },
    { maintenance: true },
    { drained: true },
    { failing: true },
    { withheld: true },
    { checked: false },
    { weight: 6 },
  ];
  for (const fields of later) {
    it(`takes from a later reading of the same worker: ${JSON.stringify(fields)}`, () => {
      const state = new ServerState(() => file);
      state.replace([row], 'first', 'g');
      const before = state.running.get('b')?.get('n');
      state.update([row], ['b'], 'g');
      assert.equal(state.running.get('b')?.get('n'), before, 'what is the same stays the same object');
      state.update([{ ...row, ...fields }], ['b'], 'g');
      for (const [name, value] of Object.entries(fields)) {
        assert.equal(state.running.get('b')?.get('n')?.[name as keyof RunningServer], value);
      }
    });
  }

  it('knows that a backend that was read without servers is there', () => {
    const state = new ServerState(() => file);
    state.replace([row], 'first', 'g');
    state.update([], ['b'], 'g');
    assert.deepEqual(backends(state), [
      ['b', []],
      ['empty', []],
    ]);
    assert.equal(state.count(), 0);
  });
});

describe('a server that was read', () => {
  const file = parseConfig('backend b\n\tserver n 1.1.1.1:1 id 1 weight 0 check\n').backends.get('b')?.get('n');
  const open = parseConfig('backend b\n\tserver n 1.1.1.1:1 id 1 check\n').backends.get('b')?.get('n');
  const previous: RunningServer = {
    name: 'n',
    id: 1,
    address: '1.1.1.1:1',
    maintenance: false,
    drained: false,
    weight: 1,
    failing: false,
    withheld: false,
    checked: true,
    ourWeight: 8,
    ours: true,
    fixedWords: 'w',
    maxconn: 3,
  };
  const cases: readonly [string, Partial<ServerRow>, Parameters<typeof runningServerOf>[1], Partial<RunningServer>][] =
    [
      [
        'is in maintenance by an operator if the file has it',
        { maintenance: true },
        { previous: undefined, file: open, loaded: true, worker: 'first' },
        { ours: false, fixedWords: 'check', maxconn: null },
      ],
      [
        'is in maintenance by synapse if the file does not have it',
        { maintenance: true },
        { previous: undefined, file: undefined, loaded: true, worker: 'first' },
        { ours: true, fixedWords: undefined, ourWeight: Number.NaN },
      ],
      [
        'is drained by synapse if the file drains it too',
        { drained: true },
        { previous: undefined, file, loaded: true, worker: 'first' },
        { ours: true },
      ],
      [
        'is drained by an operator if the file does not drain it',
        { drained: true },
        { previous: undefined, file: open, loaded: true, worker: 'first' },
        { ours: false },
      ],
      [
        'is drained by synapse if its weight is 0 too, and the file was not written any more',
        { drained: true, weight: 0 },
        { previous: undefined, file: open, loaded: true, worker: 'first' },
        { ours: true, ourWeight: Number.NaN },
      ],
      [
        'may have its weight changed if it is open, and the file still drains it',
        { weight: 3, initialWeight: 0 },
        { previous: undefined, file, loaded: true, worker: 'first' },
        { ours: false, ourWeight: Number.NaN },
      ],
      [
        'may have its weight changed if it was loaded as drained, and the file has it without a weight now',
        { weight: 3, initialWeight: 0 },
        { previous: undefined, file: open, loaded: true, worker: 'first' },
        { ours: false, ourWeight: Number.NaN },
      ],
      [
        'is in maintenance by an operator if the worker is new, because synapse has sent no commands yet',
        { maintenance: true },
        { previous, file: open, loaded: true, worker: 'new' },
        { ours: false, ourWeight: 2 },
      ],
      [
        'keeps what is known of it if the worker is the same',
        { maintenance: true },
        { previous, file: open, loaded: true, worker: 'same' },
        { ours: true, ourWeight: 8, fixedWords: 'w' },
      ],
      [
        'gets unknown options from the file once the same worker is known to have loaded it',
        {},
        {
          previous: { ...previous, fixedWords: undefined, maxconn: undefined },
          file: parseConfig('backend b\n\tserver n 1.1.1.1:1 id 1 check maxconn 6\n').backends.get('b')?.get('n'),
          loaded: true,
          worker: 'same',
        },
        { fixedWords: 'check', maxconn: 6 },
      ],
      [
        'is not closed by synapse if it is open',
        {},
        { previous, file: open, loaded: true, worker: 'same' },
        { ours: false },
      ],
      [
        'has unknown options if the worker has not loaded the file',
        {},
        { previous: undefined, file: open, loaded: false, worker: 'first' },
        { fixedWords: undefined },
      ],
    ];
  for (const [what, different, knowledge, expected] of cases) {
    it(what, () => {
      const server = runningServerOf({ ...row, ...different }, knowledge);
      for (const [key, value] of Object.entries(expected))
        assert.deepEqual(server[key as keyof RunningServer], value, key);
    });
  }
});
