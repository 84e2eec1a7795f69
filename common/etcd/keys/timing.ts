import type { Backoff } from '../../async/backoff.ts';
import { clock } from '../../async/clock.ts';
import type { LivenessLimits } from '../watch/timing.ts';
import type { Pause } from './owned-key.ts';

/*
 * How often a lease is renewed and its keys are read, and how long each wait is. All times of `common/etcd/keys/` stand
 * here; those that are not in the names are milliseconds.
 */

/**
 * How often a lease is renewed, as a share of its TTL: a third, as etcd's own clients do; a quarter of a TTL below
 * `shortTtlSeconds`, which must outlast an election.
 */
export const leaseRenewal = {
  share: 1 / 3,
  shortShare: 1 / 4,
  shortTtlSeconds: 10,
  /** One renewal may take this share of the TTL on one member, at most `maxAttemptMs`; then another member is tried. */
  attemptShare: 1 / 6,
  maxAttemptMs: 1_500,
  /** Each wait differs by up to this share, so that a fleet that started together does not renew at one instant. */
  jitter: 0.2,
} as const;

/** How long to wait from one renewal to the next. */
export function renewalWaitMs(ttlSeconds: number): number {
  const { share, shortShare, shortTtlSeconds, jitter } = leaseRenewal;
  const ttlMs = ttlSeconds * 1_000;
  const spread = clock.random() * jitter;
  return ttlSeconds < shortTtlSeconds ? ttlMs * shortShare * (1 - spread) : ttlMs * share * (1 + jitter / 2 - spread);
}

/** How long one renewal may take on one member. */
export function renewalAttemptMs(ttlSeconds: number): number {
  return Math.min(leaseRenewal.maxAttemptMs, ttlSeconds * 1_000 * leaseRenewal.attemptShare);
}

/** Between two failed tries to get or renew a lease. */
export const leaseBackoff: Backoff = { baseMs: 100, maxMs: 1_000 };

/** One try of a read or write: what became of a write must be known before the next one. */
export const requestTimeoutMs = 2_000;

/**
 * The lease of tombstones. Readers that lost contact must be back and have listed again before a tombstone goes: it stays
 * for `ttlSeconds`, less the time that the lease is shared.
 */
export const tombstoneLeaseTimes = {
  ttlSeconds: 60,
  sharedMs: 15_000,
  /** Two members are tried within the time of one request. */
  limits: { attemptMs: requestTimeoutMs / 2, totalMs: requestTimeoutMs },
} as const;

/** A key that was withdrawn without a lasting tombstone: readers have this time to ask for its lease while that lives. */
export const deletionNoticeMs = 1_000;

/** The waits of one key. A disturbed key waits up to `verifyEveryMs`. */
export function pauseBackoff(pause: Pause, verifyEveryMs: number): Backoff {
  if (pause === 'retry') return { baseMs: 50, maxMs: 2_000 };
  return { baseMs: 100, maxMs: pause === 'contention' ? 1_000 : verifyEveryMs };
}

/** How often keys are read without a watch: this often, or once per TTL when that is longer. */
export const minVerifyEveryMs = 10_000;
/** With a watch, keys are read this many times less often: only what etcd itself may lose is left to find. */
export const watchedVerifyFactor = 6;
/** Each read comes up to this share earlier, so that the processes of a fleet do not read at one instant. */
export const verifyJitter = 0.2;

/** Between two watch streams of own keys. */
export const keyWatchBackoff: Backoff = { baseMs: 50, maxMs: 5_000 };
/** A watch that lasted this long ended an outage. */
export const keyWatchHealthyMs = 10_000;

/**
 * Easier on etcd than where a watch is all there is: the connection's own pings notice a member that froze within 13 s,
 * and reading finds whatever the watch missed until then.
 */
export const keyWatchLiveness: LivenessLimits = {
  firstAnswerMs: 3_000,
  idleMs: 30_000,
  answerMs: 2_000,
  tickMs: 1_000,
};

/** Keys that are found wrong within this time are logged together. */
export const repairReportDelayMs = 200;

/** A lease that outlives its TTL by this time is renewed by a process that lives. */
export const rivalMarginMs = 2_000;

/** A key that others left alone for this long is repaired at once when they change it. */
export const calmMs = 10_000;
