import type { Backoff } from '../async/backoff.ts';

/* All times of a process that asks the fleet. */

/** A request outlives a process that asks, and dies, by this time. */
export const requestTtlSeconds = 10;

/** Between two tries to write a question or to read the answers. */
export const askBackoff: Backoff = { baseMs: 50, maxMs: 1_000 };

/** How often all answers are read while the watch goes on: some releases of etcd lose events. */
export const lookEveryMs = 10_000;

/**
 * The first answers are read rather than waited for: etcd sends the events of a new watch up to 100 ms late (its loop for watchers
 * that are behind runs that often). At most a quarter of that time is spent on reading.
 */
export const earlyLook = { forMs: 250, leastMs: 8, tookFactor: 3 } as const;

/** How often a question says how far it is, at most, and at least. */
export const progressMs = { least: 100, most: 1_000 } as const;

/** How long removing a request may take; after that it goes with its lease. */
export const removeTimeoutMs = 1_000;
