import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProbePace } from '../../../nerve/config/check-config.ts';
import { firstPause, nextPause } from '../../../nerve/health/pace.ts';
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

  it('is random before and after the first probe, which still comes soon', () => {
    assert.deepEqual(
      [0, 0.5].map((random) => firstPause({ ...pace, intervalMs: 10_000 }, () => random)),
      [0, 250],
    );
    assert.equal(
      firstPause({ ...pace, intervalMs: 100 }, () => 0.5),
      50,
    );
    assert.equal(
      nextPause({ ...pace, intervalMs: 10_000 }, after('p'), () => 0.5),
      5000,
    );
  });
});
