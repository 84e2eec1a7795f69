import type { Backoff } from '../../async/backoff.ts';

/* How often watched prefixes are checked, and how long each wait is. All times of `common/etcd/watch/` stand here. */

/** How a stream proves that its member lives. */
export interface LivenessLimits {
  /** When a first answer must have come; grpc-js itself would wait for ever. */
  readonly firstAnswerMs: number;
  /** After this silence the member is asked for its progress. */
  readonly idleMs: number;
  /** How long it has to answer; then it is asked with a unary call on the same connection, with the same limit. */
  readonly answerMs: number;
  /** How often the stream is checked. */
  readonly tickMs: number;
}

/** How a shared watch stream proves that its member lives. */
export const sharedWatchLiveness: LivenessLimits = {
  firstAnswerMs: 3_000,
  idleMs: 3_000,
  answerMs: 2_000,
  tickMs: 500,
};

/** How soon after its start, and then how often, a stream is compared with the cluster; give or take `jitter`. */
export const freshness = {
  firstCheckMs: 1_000,
  checkEveryMs: 30_000,
  jitter: 0.1,
  /** How long a member has to show what the cluster has, and how often it is asked meanwhile. */
  graceMs: 6_000,
  askEveryMs: 500,
} as const;

/**
 * A cluster that was out of reach for `restoreMs` may have been put back from a backup meanwhile: an election alone takes
 * longer, with etcd's default --election-timeout of 1 s. It may have passed the revision that was known, so that nothing
 * but another list tells it from the old one. Each prefix is listed within `spreadMs`, at random: every host lost contact
 * at the same time. Less than the time for which a tombstone stays.
 */
export const contactLoss = { restoreMs: 500, spreadMs: 30_000 } as const;

/** The limit of a read that only asks for the cluster's revision. */
export const headerTimeoutMs = 5_000;

/** The limits of one page of a list. */
export const listLimits = { attemptMs: 5_000, totalMs: 15_000 } as const;

/** How often each prefix is read again while it is watched, to find what the watch lost; give or take `jitter`. */
export const resync = {
  everyMs: 600_000,
  /** From releases that lose events: this long for each prefix, within these bounds. */
  lossyMsPerPrefix: 60,
  lossyMinMs: 60_000,
  lossyMaxMs: 300_000,
  /** From a member that answers no progress requests (grpc-proxy). */
  noProgressMs: 120_000,
  jitter: 0.1,
  /** The first one comes after 50 to 150 % of the time, so that prefixes that began together are not read together. */
  firstJitter: 0.5,
  /** After the handler threw and a resync failed too. */
  owedMs: 5_000,
  /** How often the due times are checked. */
  tickMs: 1_000,
  /** How long to wait for the proof that the watch has seen the revision of the list. */
  proofMs: 2_000,
} as const;

/** Between two watch streams. An outage ends for all clients at once: full jitter spreads them. */
export const streamBackoff: Backoff = { baseMs: 50, maxMs: 2_000 };
/** A stream that lasted this long ended an outage. */
export const streamHealthyMs = 10_000;

/** Before a prefix is read again after a failure. */
export const listBackoff: Backoff = { baseMs: 100, maxMs: 5_000 };
/** Before a prefix is read again that this user may not read: 10 to 30 s. */
export const deniedDelay = { minMs: 10_000, spread: { baseMs: 20_000, maxMs: 20_000 } } as const;
/** A prefix that was watched this long starts with the shortest wait again. */
export const prefixHealthyMs = 10_000;
