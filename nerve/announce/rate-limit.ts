import { type Problem, type Schema, validate } from '../../common/config/config.ts';
import { formats } from '../../common/config/formats.ts';

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

interface RateLimitOptions {
  readonly shadow_mode: boolean;
  readonly average_rate: number;
  readonly max_burst: number;
}

/** `rate_limiting` of a service. */
export const rateLimitSchema: Schema<RateLimitOptions> = {
  shadow_mode: { doc: 'count what would be held back, and hold nothing back', format: 'boolean', default: true },
  average_rate: {
    doc: 'announcements per second in the long run; without one as many as there are',
    format: (value) => readRate(value, 0),
    type: 'number',
    default: Number.POSITIVE_INFINITY,
  },
  max_burst: {
    doc: 'most announcements in a row after a quiet time; with average_rate only',
    format: (value) => readRate(value, 1),
    type: 'number',
    default: Number.POSITIVE_INFINITY,
  },
};

export function readRateLimit(value: unknown, at: { readonly path: string; readonly problems: Problem[] }): RateLimit {
  const options = validate(rateLimitSchema, value, at);
  return { shadow: options.shadow_mode, averageRate: options.average_rate, maxBurst: options.max_burst };
}

function readRate(value: unknown, least: number): number {
  const rate = value === Number.POSITIVE_INFINITY ? value : (formats.number(value) as number);
  if (rate >= least) return rate;
  throw new Error(`must be a number, ${least} or more`);
}
