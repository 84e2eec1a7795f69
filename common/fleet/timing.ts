import type { Backoff } from '../async/backoff.ts';
import type { LivenessLimits } from '../etcd/watch/timing.ts';

/* All times of a process that asks the fleet. */

/** A request outlives a process that asks, and dies, by this time. */
export const requestTtlSeconds = 10;

/** Between two tries to write a question or to read the answers. */
export const askBackoff: Backoff = { baseMs: 50, maxMs: 1_000 };

/** How often all answers are read: while they are watched, because some releases of etcd lose events, and while they are not. */
export const lookEveryMs = { watched: 10_000, unwatched: 500 } as const;

/** How the stream of answers proves that its member lives: sooner than other streams, because a command waits for the answers. */
export const answersLiveness: LivenessLimits = { firstAnswerMs: 1_000, idleMs: 2_000, answerMs: 1_000, tickMs: 250 };
/** Between two streams. */
export const answersBackoff: Backoff = { baseMs: 50, maxMs: 1_000 };
/** A stream that lasted this long ended an outage. */
export const answersHealthyMs = 10_000;

/** The answers of a fleet are gathered for 1 ms for each 250 proxies: for 40 ms with 10,000, and not at all with fewer than 250. */
export const proxiesPerGatherMs = 250;

/** How often a question says how far it is, at most, and at least. */
export const progressMs = { least: 100, most: 1_000 } as const;

/** How long removing a request may take; after that it goes with its lease. */
export const removeTimeoutMs = 1_000;
