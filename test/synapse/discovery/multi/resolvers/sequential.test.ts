import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ChildView, Decision } from '../../../../../synapse/discovery/multi/resolver.ts';
import { resolver } from '../../../../../synapse/discovery/multi/resolvers/sequential.ts';

const names = ['primary', 'secondary'];
const has = (name: string): ChildView => ({ name, answered: true, instances: 2, lackingSince: null });
const empty = (name: string, since: number): ChildView => ({ name, answered: true, instances: 0, lackingSince: since });
const silent = (name: string, since: number): ChildView => ({ ...empty(name, since), answered: false });
const idle = (name: string): ChildView => ({ name, answered: false, instances: 0, lackingSince: null });

/** `after` is 10, and it is 100 now. */
const cases: readonly [title: string, primary: ChildView, secondary: ChildView, decision: Decision][] = [
  [
    'the primary has some: the secondary is not asked',
    has('primary'),
    idle('secondary'),
    { use: ['primary'], ask: ['primary'] },
  ],
  [
    'the primary has some again: the secondary is left',
    has('primary'),
    has('secondary'),
    { use: ['primary'], ask: ['primary'] },
  ],
  [
    'the primary is empty for a short time: its last ones stay',
    empty('primary', 91),
    idle('secondary'),
    { use: undefined, ask: ['primary'], at: 101 },
  ],
  [
    'the primary has not answered for a short time',
    silent('primary', 91),
    idle('secondary'),
    { use: undefined, ask: ['primary'], at: 101 },
  ],
  [
    'the primary is empty for long: the secondary is asked',
    empty('primary', 90),
    idle('secondary'),
    { use: undefined, ask: names, at: 110 },
  ],
  ['the secondary has some', empty('primary', 90), has('secondary'), { use: ['secondary'], ask: names }],
  [
    'the primary never answered, the secondary has some',
    silent('primary', 0),
    has('secondary'),
    { use: ['secondary'], ask: names },
  ],
  [
    'the secondary is asked and has not answered',
    empty('primary', 0),
    silent('secondary', 95),
    { use: undefined, ask: names, at: 105 },
  ],
  [
    'the secondary does not answer for long: what was there stays',
    empty('primary', 0),
    silent('secondary', 0),
    { use: undefined, ask: names },
  ],
  [
    'both say that there are none: that is the truth',
    empty('primary', 0),
    empty('secondary', 0),
    { use: ['primary'], ask: names },
  ],
  [
    'a secondary that has just become empty keeps its last ones',
    empty('primary', 0),
    empty('secondary', 99),
    { use: undefined, ask: names, at: 109 },
  ],
];

describe('sequential', () => {
  for (const [title, primary, secondary, decision] of cases) {
    test(title, () => {
      assert.deepEqual(resolver.create({ after: 10 }, names)([primary, secondary], 100), decision);
    });
  }

  test('respects the order it is given', () => {
    const reversed = resolver.create({ after: 10, sequential_order: ['secondary', 'primary'] }, names);
    assert.deepEqual(reversed([has('primary'), has('secondary')], 100), { use: ['secondary'], ask: ['secondary'] });
  });

  test('begins with the primary when there is no order', () => {
    const decide = resolver.create({ after: 10 }, ['other', 'primary']);
    assert.deepEqual(decide([has('other'), has('primary')], 100).use, ['primary']);
  });

  const wrong: readonly [title: string, order: readonly string[], message: RegExp][] = [
    ['an empty order', [], /no sequential order defined/],
    ['an unknown name', [...names, 'third'], /has unknown watcher: third/],
    ['a missing name', ['primary'], /does not contain: secondary/],
    ['a name twice', [...names, 'primary'], /twice/],
  ];
  for (const [title, order, message] of wrong) {
    test(`refuses ${title}`, () => {
      assert.throws(() => resolver.create({ after: 10, sequential_order: order }, names), message);
    });
  }
});
