import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ChildView } from '../../../../../synapse/discovery/multi/resolver.ts';
import { resolver } from '../../../../../synapse/discovery/multi/resolvers/union.ts';

const names = ['a', 'b'];
const view = (name: string, answered: boolean): ChildView => ({ name, answered, instances: 0, lackingSince: 0 });

describe('union', () => {
  it('uses all sources, empty or not, as soon as all have answered', () => {
    const decide = resolver.create({ wait: 10 }, names);
    assert.deepEqual(decide([view('a', true), view('b', true)], 100), { use: names, ask: names });
  });

  it('uses the sources that have answered once the wait for the others is over', () => {
    const decide = resolver.create({ wait: 10 }, names);
    const children = [view('a', true), view('b', false)];
    assert.deepEqual(decide(children, 100), { use: undefined, ask: names, at: 110 });
    assert.deepEqual(decide(children, 109), { use: undefined, ask: names, at: 110 });
    assert.deepEqual(decide(children, 110), { use: ['a'], ask: names });
  });

  it('changes nothing while no source has answered', () => {
    const decide = resolver.create({ wait: 0 }, names);
    assert.deepEqual(decide([view('a', false), view('b', false)], 100), { use: undefined, ask: names });
  });
});
