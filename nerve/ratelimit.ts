/** How often an announcement may change: SmartStack's token bucket. */
export interface RateLimit {
  /** Counts what it would refuse, and refuses nothing. */
  readonly shadow: boolean;
  /** Tokens per second; Infinity for no limit. */
  readonly averageRate: number;
  /** Most tokens that an idle time can save up; Infinity for no limit. */
  readonly maxBurst: number;
}

export const noRateLimit: RateLimit = {
  shadow: true,
  averageRate: Number.POSITIVE_INFINITY,
  maxBurst: Number.POSITIVE_INFINITY,
};

/** Tokens, and when they were counted last. Immutable. */
export interface Bucket {
  readonly tokens: number;
  /** Milliseconds. */
  readonly countedAt: number;
}

/** As in SmartStack, what one second brings is there from the start. `now` in milliseconds, of any clock that only advances. */
export function newBucket({ averageRate }: RateLimit, now: number): Bucket {
  return { tokens: averageRate, countedAt: now };
}

/** The bucket after one token was taken from it; undefined when there is none. */
export function takeToken(bucket: Bucket, limit: RateLimit, now: number): Bucket | undefined {
  const tokens = available(bucket, limit, now);
  return tokens < 1 ? undefined : { tokens: tokens - 1, countedAt: now };
}

/** Milliseconds until there is a token; Infinity when there never will be. */
export function untilToken(bucket: Bucket, limit: RateLimit, now: number): number {
  const missing = 1 - available(bucket, limit, now);
  return missing <= 0 ? 0 : (missing / limit.averageRate) * 1000;
}

function available({ tokens, countedAt }: Bucket, { averageRate, maxBurst }: RateLimit, now: number): number {
  // Without a rate there is nothing to save up, and max_burst says nothing.
  if (averageRate === Number.POSITIVE_INFINITY) return averageRate;
  return Math.min(tokens + (averageRate * (now - countedAt)) / 1000, maxBurst);
}
