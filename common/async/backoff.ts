import { clock } from './clock.ts';

/** Exponential backoff: how long to wait before another attempt. */
export interface Backoff {
  /** Upper bound of the first wait; doubles with each attempt. */
  readonly baseMs: number;
  /** Upper bound of every wait. */
  readonly maxMs: number;
}

/** Waits of up to 0.1 s at first and up to 10 s later. */
export const defaultBackoff: Backoff = { baseMs: 100, maxMs: 10_000 };

/**
 * A random wait in milliseconds between 0 and the bound for this attempt, counted from 0. Full jitter: processes that
 * failed together do not try again together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 */
export function jittered({ baseMs, maxMs }: Backoff, attempt: number): number {
  return clock.random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
}
