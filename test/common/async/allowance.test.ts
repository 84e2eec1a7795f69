import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Allowance } from '../../../common/async/allowance.ts';

/** How often of `times` there is a token, at each of these moments. */
function taken(steps: readonly (readonly [now: number, times: number])[]): readonly number[] {
  const allowance = new Allowance({ burst: 3, intervalMs: 10 });
  return steps.map(([now, times]) => Array.from({ length: times }, () => allowance.take(now)).filter(Boolean).length);
}

describe('an allowance', () => {
  it('gives a burst, and then one token per interval', () =>
    assert.deepEqual(
      taken([
        [0, 9],
        [9, 9],
        [10, 9],
        [19, 9],
        [45, 9],
      ]),
      [3, 0, 1, 0, 3],
    ));

  it('saves no more than a burst', () =>
    assert.deepEqual(
      taken([
        [0, 1],
        [1_000_000, 9],
      ]),
      [1, 3],
    ));

  it('says how long there is no token, and when none is missing', () => {
    const allowance = new Allowance({ burst: 2, intervalMs: 10 });
    assert.deepEqual([allowance.waitMs(5), allowance.isFull(5)], [0, true]);
    allowance.take(5);
    assert.deepEqual([allowance.waitMs(5), allowance.isFull(5), allowance.isFull(15)], [0, false, true]);
    allowance.take(5);
    assert.deepEqual([allowance.waitMs(5), allowance.waitMs(12), allowance.waitMs(15)], [10, 3, 0]);
  });
});
