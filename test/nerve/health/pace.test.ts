import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProbePace } from '../../../nerve/config/check-config.ts';
import { firstPause, firstSpread, nextPause } from '../../../nerve/health/pace.ts';
import { nextHealth, unknownHealth } from '../../../nerve/health/rise-fall.ts';

const pace: ProbePace = { intervalMs: 1000, fastIntervalMs: 100, jitter: 0 };

/** The health after these results, with rise 3 and fall 2. */
function after(results: string) {
  return [...results].reduce(
    (health, result) => nextHealth(health, result === 'p', { rise: 3, fall: 2 }),
    unknownHealth,
  );
}

describe('the pause between two probes', () => {
  const pauses: readonly [results: string, pause: number, why: string][] = [
    ['pp', 1000, 'healthy'],
    ['ppf', 100, 'one failure of two'],
    ['ppff', 1000, 'unhealthy'],
    ['ppffp', 100, 'one pass of three'],
    ['ppffpp', 100, 'two passes of three'],
    ['ppffppf', 1000, 'still unhealthy'],
    ['ppffppp', 1000, 'healthy again'],
  ];
  for (const [results, pause, why] of pauses) {
    it(`is ${pause} ms after results ${results}: ${why}`, () => assert.equal(nextPause(pace, after(results)), pause));
  }

  it('varies by the jitter around the interval', () => {
    const jittery = { ...pace, jitter: 0.2 };
    assert.deepEqual(
      [0, 0.5, 1].map((random) => nextPause(jittery, after('pp'), () => random)),
      [800, 1000, 1200],
    );
  });

  const spreads: readonly [checks: number, spreadMs: number][] = [
    [0, 0],
    [1, 0],
    [2, 5],
    [21, 100],
    [101, 500],
    [1_000, 500],
  ];
  for (const [checks, spreadMs] of spreads) {
    it(`is at most ${spreadMs} ms before the first probes of ${checks} checks that start together`, () => {
      assert.equal(firstSpread(checks), spreadMs);
    });
  }

  it('is any part of the spread before the first probe, and at most an interval', () => {
    assert.deepEqual(
      [0, 0.5].map((random) => firstPause({ intervalMs: 10_000 }, 500, () => random)),
      [0, 250],
    );
    assert.equal(
      firstPause({ intervalMs: 100 }, 500, () => 0.5),
      50,
    );
  });

  it('is any part of the interval after the first probe', () => {
    assert.equal(
      nextPause({ ...pace, intervalMs: 10_000 }, after('p'), () => 0.5),
      5000,
    );
  });
});
