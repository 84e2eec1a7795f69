import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServerRow } from '../../../../synapse/haproxy/runtime/parse.ts';
import { ServerState } from '../../../../synapse/haproxy/runtime/server-state.ts';
import { parseConfig } from '../../../../synapse/haproxy/spec/parse-config.ts';

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
  initialWeight: 2,
};

describe('ServerState', () => {
  const file = parseConfig('global\n\tsetenv SYNAPSE_GEN g\nbackend b\n\tserver n 1.1.1.1:1\nbackend empty\n');
  const backends = (state: ServerState) => [...state.running].map(([name, servers]) => [name, [...servers.keys()]]);

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
