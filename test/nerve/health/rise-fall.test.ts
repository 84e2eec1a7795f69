import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nextHealth, unknownHealth } from '../../../nerve/health/rise-fall.ts';

describe('nextHealth', () => {
  // Observed on SmartStack: p passes, f fails; U up, D down after each result.
  const vectors: readonly [rise: number, fall: number, results: string, health: string][] = [
    [1, 1, 'pfffpppp', 'UDDDUUUU'],
    [3, 2, 'pfffpppp', 'UUDDDDUU'],
    [3, 2, 'pfpfpffp', 'UUUUUUDD'],
    [2, 3, 'fpppfffp', 'DDUUUUDD'],
    [3, 3, 'pfpfpffp', 'UUUUUUUU'],
    [5, 1, 'fppppp', 'DDDDDU'],
    [1, 5, 'pfffff', 'UUUUUD'],
  ];
  for (const [rise, fall, results, expected] of vectors) {
    it(`gives health ${expected} for results ${results} with rise ${rise} and fall ${fall}`, () => {
      let health = unknownHealth;
      let seen = '';
      for (const result of results) {
        health = nextHealth(health, result === 'p', { rise, fall });
        assert.equal(health.results.length, Math.max(rise, fall));
        seen += health.up ? 'U' : 'D';
      }
      assert.equal(seen, expected);
    });
  }
});
