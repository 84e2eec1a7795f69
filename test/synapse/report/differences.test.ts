import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type InstanceState, makeInstance } from '../../../common/instance.ts';
import { differences } from '../../../synapse/report/differences.ts';

describe('the difference between an instance and its server in HAProxy', () => {
  const cases: [name: string, state: InstanceState, status: string | undefined, difference: string | undefined][] = [
    ['is none when both are up', 'up', 'UP', undefined],
    ['is none for a server without checks', 'up', 'no check', undefined],
    ['is none when both drain', 'drain', 'DRAIN', undefined],
    ['is a missing server', 'up', undefined, 'not in HAProxy'],
    ['is a failed check in HAProxy', 'up', 'DOWN', "HAProxy's own check fails"],
    ['is a server that goes down', 'up', 'DOWN 1/2', "HAProxy's own check fails"],
    ['is a server in maintenance', 'up', 'MAINT', 'in maintenance in HAProxy'],
    ['is a drain that was set by hand', 'up', 'DRAIN', 'drained in HAProxy'],
    ['is a drain that HAProxy does not know', 'drain', 'UP', 'takes traffic in HAProxy'],
  ];
  for (const [name, state, status, difference] of cases) {
    it(name, () => {
      const instance = makeInstance({ host: '10.0.0.1', port: 80, state });
      const servers = status === undefined ? [] : [{ name: instance.id, status }];
      assert.deepEqual(differences([instance], servers), difference === undefined ? {} : { [instance.id]: difference });
    });
  }

  const weights: readonly (readonly [name: string, own: number | undefined, status: string, difference: object])[] = [
    ['is a weight 0 that was set by hand', 5, 'DRAIN', { 'a_10.0.0.1:80': 'weight 0 in HAProxy' }],
    ['is a weight 0 without a weight of its own', undefined, 'no check', { 'a_10.0.0.1:80': 'weight 0 in HAProxy' }],
    ['is none when the record has weight 0', 0, 'DRAIN', {}],
  ];
  for (const [name, own, status, difference] of weights) {
    it(name, () => {
      const weight = own === undefined ? {} : { weight: own };
      const one = makeInstance({ name: 'a', host: '10.0.0.1', port: 80, ...weight });
      assert.deepEqual(differences([one], [{ name: one.id, status, weight: 0 }]), difference);
    });
  }

  it('names servers that are no instances, unless they are out of service', () => {
    const servers = [
      { name: 'old', status: 'MAINT' },
      { name: 'foreign', status: 'UP' },
    ];
    assert.deepEqual(differences([], servers), { foreign: 'in HAProxy, and not among the instances' });
  });
});
