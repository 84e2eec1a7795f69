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

/** The upper bound of the wait before this attempt, counted from 0, in milliseconds. */
export function backoffMs({ baseMs, maxMs }: Backoff, attempt: number): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
}

/**
 * A random wait in milliseconds between 0 and {@link backoffMs}. Full jitter: processes that failed together do not try
 * again together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 */
export function jittered(backoff: Backoff, attempt: number): number {
  return clock.random() * backoffMs(backoff, attempt);
}
