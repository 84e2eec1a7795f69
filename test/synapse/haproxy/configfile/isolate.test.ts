import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isolate } from '../../../../synapse/haproxy/configfile/isolate.ts';

const numbers = Array.from({ length: 100 }, (_, index) => index);
const isBad = (bad: readonly number[]) => (included: readonly number[]) => {
  const found = included.filter((unit) => bad.includes(unit));
  return found.length === 0 ? null : `bad: ${found.join(' ')}`;
};

const cases: readonly [what: string, bad: readonly number[], most: number][] = [
  ['one unit', [37], 14],
  ['the first and the last unit', [0, 99], 28],
  ['two neighbours', [50, 51], 28],
  ['five units', [3, 20, 41, 77, 90], 60],
];

describe('halving finds the refused units', () => {
  for (const [what, bad, most] of cases) {
    it(`${what}, in at most ${most} attempts`, async () => {
      let attempts = 0;
      const judge = isBad(bad);
      const { accepted, refused } = await isolate(
        numbers,
        async (included) => {
          attempts += 1;
          return judge(included);
        },
        { message: 'all', exhausted: () => false },
      );
      assert.deepEqual([...refused.keys()], bad);
      for (const [unit, said] of refused) assert.match(said, new RegExp(`\\b${unit}\\b`));
      assert.deepEqual(
        accepted,
        numbers.filter((unit) => !bad.includes(unit)),
      );
      assert.ok(attempts <= most, `${attempts} attempts`);
    });
  }

  it('and refuses one of two units that are only refused together', async () => {
    const { accepted, refused } = await isolate(
      ['a', 'b', 'c', 'd'],
      async (included) => (included.includes('b') && included.includes('d') ? 'b and d' : null),
      { message: 'b and d', exhausted: () => false },
    );
    assert.deepEqual([...refused.keys()], ['d']);
    assert.deepEqual(accepted, ['a', 'b', 'c']);
  });

  it('and refuses all units that it cannot tell apart when the attempts run out', async () => {
    let attempts = 0;
    const { accepted, refused } = await isolate(
      numbers,
      async (included) => {
        attempts += 1;
        return isBad([10, 60])(included);
      },
      { message: 'all', exhausted: () => attempts >= 3 },
    );
    assert.equal(attempts <= 4, true);
    assert.equal(accepted.length + refused.size, 100);
    assert.ok(refused.has(10) && refused.has(60));
  });
});
