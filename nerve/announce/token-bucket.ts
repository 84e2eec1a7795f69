import type { RateLimit } from '../config/rate-limit.ts';

/** The tokens of one announcement, and when they were counted. Immutable. */
export interface TokenBucket {
  readonly tokens: number;
  /** By a monotonic clock. */
  readonly countedAtMs: number;
}

/** A bucket that starts, as in SmartStack, with the tokens of one second. `nowMs` is by a monotonic clock. */
export function newBucket({ averageRate }: RateLimit, nowMs: number): TokenBucket {
  return { tokens: averageRate, countedAtMs: nowMs };
}

/** The bucket without one token; undefined when it has none. */
export function takeToken(bucket: TokenBucket, limit: RateLimit, nowMs: number): TokenBucket | undefined {
  const tokens = availableTokens(bucket, limit, nowMs);
  return tokens < 1 ? undefined : { tokens: tokens - 1, countedAtMs: nowMs };
}

/** Milliseconds until the bucket has a token; Infinity when it never will. */
export function msUntilToken(bucket: TokenBucket, limit: RateLimit, nowMs: number): number {
  const missing = 1 - availableTokens(bucket, limit, nowMs);
  return missing <= 0 ? 0 : (missing / limit.averageRate) * 1000;
}

function availableTokens({ tokens, countedAtMs }: TokenBucket, limit: RateLimit, nowMs: number): number {
  const { averageRate, maxBurst } = limit;
  // Without a rate there is nothing to save up, so max_burst has no effect.
  if (averageRate === Number.POSITIVE_INFINITY) return averageRate;
  return Math.min(tokens + (averageRate * (nowMs - countedAtMs)) / 1000, maxBurst);
}
