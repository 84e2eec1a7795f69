import type { Backoff } from '../../async/backoff.ts';

/* How long calls to etcd may take, and how long to wait after a failure. All times of `common/etcd/client/` stand here. */

/** Default limits of a call: for each member that is tried, and for all of them together. */
export const callLimits = { attemptMs: 2_000, totalMs: 8_000 } as const;

/** After every member has failed once, before the next round. */
export const roundBackoff: Backoff = { baseMs: 50, maxMs: 1_000 };

/** A last try that is shorter than this is not made: it would only hide why the others failed. */
export const shortestAttemptMs = 100;

/**
 * How long other members are preferred to one that failed. A member that answers with an error, or is down, soon works
 * again; a hung one costs a deadline at every try.
 */
export const memberBackoff: { readonly answering: Backoff; readonly hanging: Backoff } = {
  answering: { baseMs: 250, maxMs: 2_000 },
  hanging: { baseMs: 1_000, maxMs: 15_000 },
};

/** A member that hangs gets a new connection at most this often, doubling with each hang. */
export const reconnectBackoff: Backoff = { baseMs: 1_000, maxMs: 15_000 };

/** A member makes its tokens itself; making one takes a password hash, about 100 ms of its time. */
export const loginTimeoutMs = 3_000;

/** How long a member's version may take, and how long to wait before it is asked for again. */
export const versionLimits = { timeoutMs: 2_000, retryMs: 30_000 } as const;

/**
 * Pings of idle connections that have a stream. etcd refuses pings more frequent than every 5 s
 * (--grpc-keepalive-min-time), and all pings without a stream.
 */
export const ping = { everyMs: 10_000, timeoutMs: 3_000 } as const;

/** How soon a connection that was cut is made again. */
export const reconnect = { firstMs: 100, maxMs: 1_000 } as const;
