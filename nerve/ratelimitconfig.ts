import { type Problem, type Schema, validate } from '../common/config/config.ts';
import { formats } from '../common/config/formats.ts';
import type { RateLimit } from './ratelimit.ts';

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
