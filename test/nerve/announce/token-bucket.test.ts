import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { msUntilToken, newBucket, takeToken } from '../../../nerve/announce/token-bucket.ts';
import type { RateLimit } from '../../../nerve/config/rate-limit.ts';

/** Takes tokens at the second and as many times as each step says: `t` for a token, `f` for none. */
function play(limit: RateLimit, steps: readonly (readonly [second: number, times: number])[]): string {
  let bucket = newBucket(limit, 0);
  return steps
    .map(([second, times]) =>
      Array.from({ length: times }, () => {
        const left = takeToken(bucket, limit, second * 1000);
        bucket = left ?? bucket;
        return left === undefined ? 'f' : 't';
      }).join(''),
    )
    .join(' ');
}

const t = (times: number): string => 't'.repeat(times);

describe('token bucket', () => {
  // Results of SmartStack itself.
  const cases: readonly [sentence: string, rate: number, burst: number, steps: [number, number][], expected: string][] =
    [
      [
        'starts with the tokens of one second and gains as many each second',
        10,
        100,
        [
          [0, 12],
          [1, 11],
        ],
        `${t(10)}ff ${t(10)}f`,
      ],
      ['saves no more tokens than the burst', 10, 100, [[60, 101]], `${t(100)}f`],
      ['starts with no more tokens than the burst', 100, 5, [[0, 7]], `${t(5)}ff`],
      [
        'never gives a token at a rate of 0',
        0,
        100,
        [
          [0, 2],
          [3600, 2],
        ],
        'ff ff',
      ],
      ['always gives a token without a rate, whatever the burst', Number.POSITIVE_INFINITY, 1, [[0, 500]], t(500)],
      [
        'gathers fractions of a token while it refuses',
        0.5,
        10,
        [
          [0, 1],
          [0.5, 1],
          [1, 2],
          [3, 2],
        ],
        'f f tf tf',
      ],
    ];
  for (const [sentence, averageRate, maxBurst, steps, expected] of cases) {
    it(sentence, () => assert.equal(play({ shadow: false, averageRate, maxBurst }, steps), expected));
  }

  it('gives as many tokens as its rate in the long run', () => {
    const steps = Array.from({ length: 251 }, (_, second) => [second, 200] as const);
    const taken = play({ shadow: false, averageRate: 100, maxBurst: 1000 }, steps).replaceAll(/[^t]/g, '').length;
    assert.ok(Math.abs(taken / 251 - 100) < 5, String(taken));
  });

  it('says when the next token comes', () => {
    const limit = { shadow: false, averageRate: 0.5, maxBurst: 10 };
    assert.equal(msUntilToken(newBucket(limit, 0), limit, 0), 1000);
    assert.equal(msUntilToken(newBucket(limit, 0), limit, 1000), 0);
    const never = { ...limit, averageRate: 0 };
    assert.equal(msUntilToken(newBucket(never, 0), never, 1e9), Number.POSITIVE_INFINITY);
  });
});
