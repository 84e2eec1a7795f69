import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeInstance } from '../../../common/instance.ts';
import { leftOut } from '../../../synapse/catalog/left-out.ts';
import { type Policy, select } from '../../../synapse/catalog/select.ts';
import type { InstanceSet } from '../../../synapse/source.ts';
import { plainPolicy, setOf } from '../../support/daemons/instance-sets.ts';

const one = makeInstance({ host: 'one', port: 1, labels: { az: 'a' } });
const two = makeInstance({ host: 'two', port: 2 });
const twin = makeInstance({ host: 'one', port: 3 });
const leaving = makeInstance({ host: 'leaving', port: 4, state: 'down' });

const cases: readonly [
  title: string,
  policy: Partial<Policy>,
  set: InstanceSet,
  reasons: Readonly<Record<string, string>>,
][] = [
  ['nothing when all are used', {}, setOf(one, two), {}],
  ['nothing for instances behind a port override', { portOverride: 80 }, setOf(one, two), {}],
  ['withdrawn instances', {}, setOf(one, leaving), { 'leaving:4': 'its nerve withdrew it' }],
  [
    'instances that a filter hides, with its reason',
    { filters: [{ label: 'az', value: 'b', condition: 'equals' }] },
    setOf(one, two),
    {
      'one:1': 'its label az is "a" and must equal "b"',
      'two:2': 'its label az is missing and must equal "b"',
    },
  ],
  [
    'duplicates that a port override makes',
    { portOverride: 80 },
    setOf(one, twin),
    { 'one:3': 'another instance has the same name, host and port' },
  ],
  [
    'instances that max_instances leaves out',
    { maxInstances: 1 },
    { ...setOf(one, two), sequence: [2, 1] },
    { 'one:1': 'the service has more than max_instances (1), and this one was announced later than those in use' },
  ],
  [
    'an instance whose server name another one has',
    {},
    setOf(makeInstance({ host: 'a_b', port: 1 }), makeInstance({ name: 'a', host: 'b', port: 1 })),
    { 'a_b:1': 'its server in HAProxy would be a_b:1, as that of a on host b, which is used' },
  ],
  [
    'an instance whose server name a default server has behind a port override',
    { portOverride: 80, keepDefaultServers: true, defaultServers: [makeInstance({ host: 'a_b', port: 80 })] },
    setOf(makeInstance({ name: 'a', host: 'b', port: 1 })),
    {
      'a_b:1':
        'its server in HAProxy would be a_b:80, as that of the instance without a name on host a_b, which is used',
    },
  ],
  ['all but the leader', { leaderElection: true }, setOf(one, two), { 'two:2': 'it is not the leader' }],
];

describe('leftOut names', () => {
  for (const [title, more, set, reasons] of cases) {
    it(title, () => {
      const policy = { ...plainPolicy, ...more };
      const found = leftOut(policy, set, select(policy, set));
      assert.deepEqual(Object.fromEntries(found.map(({ id, reason }) => [id, reason])), reasons);
    });
  }
});
