import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type InstanceState, makeInstance } from '../../../common/instance.ts';
import { differences } from '../../../synapse/report/differences.ts';

describe('differences between HAProxy and the instances', () => {
  const cases: [name: string, state: InstanceState, status: string | undefined, difference: string | undefined][] = [
    ['up on both sides agrees', 'up', 'UP', undefined],
    ['a server without checks agrees', 'up', 'no check', undefined],
    ['draining on both sides agrees', 'drain', 'DRAIN', undefined],
    ['a missing server differs', 'up', undefined, 'not in HAProxy'],
    ['a server that fails its check differs', 'up', 'DOWN', "HAProxy's own check fails"],
    ['so does one that goes down', 'up', 'DOWN 1/2', "HAProxy's own check fails"],
    ['maintenance differs', 'up', 'MAINT', 'in maintenance in HAProxy'],
    ['a drain set by hand differs', 'up', 'DRAIN', 'drained in HAProxy'],
    ['a drain that HAProxy does not know of differs', 'drain', 'UP', 'takes traffic in HAProxy'],
  ];
  for (const [name, state, status, difference] of cases) {
    it(name, () => {
      const instance = makeInstance({ host: '10.0.0.1', port: 80, state });
      const servers = status === undefined ? [] : [{ name: instance.id, status }];
      assert.deepEqual(differences([instance], servers), difference === undefined ? {} : { [instance.id]: difference });
    });
  }

  it('names servers that are not ours, unless they are out of service', () => {
    const servers = [
      { name: 'old', status: 'MAINT' },
      { name: 'foreign', status: 'UP' },
    ];
    assert.deepEqual(differences([], servers), { foreign: 'in HAProxy, and not among the instances' });
  });
});
