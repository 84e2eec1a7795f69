import type { Backoff } from '../../async/supervise.ts';

/* How long calls to etcd may take, and how long to wait after a failure. All times of `common/etcd/client/` stand here. */

/** Default limits of a call: for each member that is tried, and for all of them together. */
export const callLimits = { attemptMs: 2_000, totalMs: 8_000 } as const;

/** After every member has failed once, before the next round. */
export const roundBackoff: Backoff = { min: 50, max: 1_000 };

/** A last try that is shorter than this is not made: it would only hide why the others failed. */
export const shortestAttemptMs = 100;

/**
 * How long other members are preferred to one that failed. A member that answers with an error, or is down, soon works
 * again; a hung one costs a deadline at every try.
 */
export const memberBackoff: { readonly answering: Backoff; readonly hanging: Backoff } = {
  answering: { min: 250, max: 2_000 },
  hanging: { min: 1_000, max: 15_000 },
};

/** A member that hangs gets a new connection at most this often, doubling with each hang. */
export const reconnectBackoff: Backoff = { min: 1_000, max: 15_000 };

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
