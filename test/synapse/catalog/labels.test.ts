import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeInstance } from '../../../common/instance.ts';
import { type LabelFilter, passesFilters } from '../../../synapse/catalog/labels.ts';

const label = 'az';
const cases: readonly [title: string, filter: Omit<LabelFilter, 'label'>, passes: readonly string[]][] = [
  ['equals one value', { condition: 'equals', value: 'a' }, ['a']],
  ['not-equals passes those without the label', { condition: 'not-equals', value: 'a' }, ['b', 'ab', '', 'none']],
  ['in a list', { condition: 'in', value: ['a', 'b'] }, ['a', 'b']],
  ['not-in passes those without the label', { condition: 'not-in', value: ['a', 'b'] }, ['ab', '', 'none']],
  ['exists, even empty', { condition: 'exists' }, ['a', 'b', 'ab', '']],
  ['matches all of the value', { condition: 'matches', value: 'a' }, ['a']],
  ['matches alternatives as a whole', { condition: 'matches', value: 'a|b' }, ['a', 'b']],
  ['matches anything, but not a missing label', { condition: 'matches', value: '.*' }, ['a', 'b', 'ab', '']],
];

describe('label filters', () => {
  const instances = ['a', 'b', 'ab', ''].map(
    (value) => [value, makeInstance({ host: 'h', port: 1, labels: { az: value } })] as const,
  );
  const all = [...instances, ['none', makeInstance({ host: 'h', port: 1 })] as const];
  for (const [title, filter, passes] of cases) {
    it(title, () => {
      const passed = all.filter(([, instance]) => passesFilters(instance, [{ label, ...filter }]));
      assert.deepEqual(
        passed.map(([value]) => value),
        passes,
      );
    });
  }

  it('do not take a property of every object as a label', () => {
    assert.ok(!passesFilters(makeInstance({ host: 'h', port: 1 }), [{ label: 'toString', condition: 'exists' }]));
  });
});
