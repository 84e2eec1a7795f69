import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { restMs } from '../../../common/async/rest.ts';

describe('the rest of a job that runs again and again', () => {
  const rest = { leastMs: 5_000, factor: 100, mostMs: 30_000 };
  const cases: readonly (readonly [tookMs: number, restedMs: number])[] = [
    [0, 5_000],
    [50, 5_000],
    [100, 10_000],
    [300, 30_000],
    [3_000, 30_000],
  ];
  for (const [tookMs, restedMs] of cases) {
    it(`is ${restedMs} ms after a run of ${tookMs} ms`, () => assert.equal(restMs(rest, tookMs), restedMs));
  }
});
