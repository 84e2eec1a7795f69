import { type Problem, type Schema, validate } from '../../common/config/config.ts';
import { formats } from '../../common/config/formats.ts';
import { numeric } from '../../common/config/json-values.ts';

/** How often one service's announcement may change: SmartStack's token bucket. */
export interface RateLimit {
  /** Only count the announcements that the limit would hold back. */
  readonly shadow: boolean;
  /** Tokens per second; Infinity for no limit. */
  readonly averageRate: number;
  /** Most tokens that the bucket holds after a quiet time; Infinity for no limit. */
  readonly maxBurst: number;
}

/** What holds without `rate_limiting`. */
export const noRateLimit: RateLimit = {
  shadow: true,
  averageRate: Number.POSITIVE_INFINITY,
  maxBurst: Number.POSITIVE_INFINITY,
};

interface RateLimitOptions {
  readonly shadow_mode: boolean;
  readonly average_rate: number;
  readonly max_burst: number;
}

/** `rate_limiting` of a service. */
export const rateLimitSchema: Schema<RateLimitOptions> = {
  shadow_mode: {
    doc: 'only count the announcements that the limit would hold back',
    format: 'boolean',
    default: noRateLimit.shadow,
  },
  average_rate: {
    doc: 'announcements per second in the long run; by default unlimited',
    format: (value) => readRate(value, 0),
    json: numeric({ minimum: 0 }),
    type: 'number',
    default: noRateLimit.averageRate,
  },
  max_burst: {
    doc: 'most announcements in a row after a quiet time; needs average_rate',
    format: (value) => readRate(value, 1),
    json: numeric({ minimum: 1 }),
    type: 'number',
    default: noRateLimit.maxBurst,
  },
};

/** Validates `rate_limiting` of one service. */
export function readRateLimit(value: unknown, at: { readonly path: string; readonly problems: Problem[] }): RateLimit {
  const options = validate(rateLimitSchema, value, at);
  return { shadow: options.shadow_mode, averageRate: options.average_rate, maxBurst: options.max_burst };
}

function readRate(value: unknown, min: number): number {
  const rate = value === Number.POSITIVE_INFINITY ? value : (formats.number(value) as number);
  if (rate >= min) return rate;
  throw new Error(`must be a number, ${min} or more`);
}
