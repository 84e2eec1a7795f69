import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ChildView, Decision } from '../../../../../synapse/discovery/multi/resolver.ts';
import { resolver } from '../../../../../synapse/discovery/multi/resolvers/sequential.ts';

const names = ['primary', 'secondary'];
const has = (name: string): ChildView => ({ name, answered: true, instances: 2, lackingSince: null });
const empty = (name: string, since: number): ChildView => ({ name, answered: true, instances: 0, lackingSince: since });
const silent = (name: string, since: number): ChildView => ({ ...empty(name, since), answered: false });
const idle = (name: string): ChildView => ({ name, answered: false, instances: 0, lackingSince: null });

/** `after` is 10 ms, and the time is 100 ms. */
const cases: readonly [title: string, primary: ChildView, secondary: ChildView, decision: Decision][] = [
  [
    'a primary with instances is used, and the secondary does not run',
    has('primary'),
    idle('secondary'),
    { use: ['primary'], ask: ['primary'] },
  ],
  [
    'a primary that has instances again replaces the secondary',
    has('primary'),
    has('secondary'),
    { use: ['primary'], ask: ['primary'] },
  ],
  [
    'a primary that has just become empty keeps its last instances',
    empty('primary', 91),
    idle('secondary'),
    { use: undefined, ask: ['primary'], at: 101 },
  ],
  [
    'a primary that was started a short time ago is waited for',
    silent('primary', 91),
    idle('secondary'),
    { use: undefined, ask: ['primary'], at: 101 },
  ],
  [
    'a primary that has been empty for long makes the secondary run',
    empty('primary', 90),
    idle('secondary'),
    { use: undefined, ask: names, at: 110 },
  ],
  [
    'a secondary with instances is used while the primary has none',
    empty('primary', 90),
    has('secondary'),
    { use: ['secondary'], ask: names },
  ],
  [
    'a secondary with instances is used while the primary never answered',
    silent('primary', 0),
    has('secondary'),
    { use: ['secondary'], ask: names },
  ],
  [
    'a secondary that was started a short time ago is waited for',
    empty('primary', 0),
    silent('secondary', 95),
    { use: undefined, ask: names, at: 105 },
  ],
  [
    'a secondary that does not answer for long changes nothing',
    empty('primary', 0),
    silent('secondary', 0),
    { use: undefined, ask: names },
  ],
  [
    'an empty set is used once both have answered with an empty set',
    empty('primary', 0),
    empty('secondary', 0),
    { use: ['primary'], ask: names },
  ],
  [
    'a secondary that has just become empty keeps its last instances',
    empty('primary', 0),
    empty('secondary', 99),
    { use: undefined, ask: names, at: 109 },
  ],
];

describe('the resolver sequential', () => {
  for (const [title, primary, secondary, decision] of cases) {
    it(title, () => {
      assert.deepEqual(resolver.create({ after: 10 }, names)([primary, secondary], 100), decision);
    });
  }

  it('follows sequential_order', () => {
    const reversed = resolver.create({ after: 10, sequential_order: ['secondary', 'primary'] }, names);
    assert.deepEqual(reversed([has('primary'), has('secondary')], 100), { use: ['secondary'], ask: ['secondary'] });
  });

  it('begins with the primary without sequential_order', () => {
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
    it(`refuses ${title}`, () => {
      assert.throws(() => resolver.create({ after: 10, sequential_order: order }, names), message);
    });
  }
});
