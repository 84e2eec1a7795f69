import type { IWatchRequest, IWatchResponse } from 'etcd3/lib/rpc.js';
import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import { supervise } from '../../async/supervise.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { isStaleToken } from '../client/errors.ts';
import { watchStreamEnds } from '../client/metrics.ts';
import { atLeast } from '../client/version.ts';
import { type ClusterIdentity, type ClusterReset, readHeader } from './cluster-identity.ts';
import { checkFreshness, confirmReset, proven } from './freshness.ts';
import { type Liveness, watchLiveness } from './liveness.ts';
import type { PrefixState } from './prefix-state.ts';
import { type WatcherEnd, WatchStream } from './watch-stream.ts';

/** Why a prefix has to be read again before it can be watched on. */
export interface WatchEnd {
  readonly why: WatcherEnd | ClusterReset | 'aborted';
  readonly error?: unknown;
}

/** Keeps one watch stream going for all prefixes that are attached, on whichever member works. */
export interface SharedWatch {
  /** Watches from where `followed` is. Resolves when that cannot go on; loss of the stream is no such reason. */
  attach(followed: PrefixState, signal: AbortSignal): Promise<WatchEnd>;
  /** Has everything read again. */
  resetAll(why: ClusterReset): void;
  /** True when the watch of `followed` is known to have seen `revision`; waits for that at most `limit` ms. */
  proven(revision: number, limit: number): Promise<boolean>;
  /** When everything that is watched was last known to be the cluster's truth; -Infinity before. */
  readonly provenAt: number;
  readonly member: string | null;
  readonly lastError: string | null;
  /** The member answers no progress requests (grpc-proxy): only reading again shows whether anything is missing. */
  readonly quiet: boolean;
}

/** How often to audit, milliseconds, and how soon after a stream has begun. */
const auditEvery = 30_000;
const firstAudit = 1_000;

/** Makes a hub; opens a stream as soon as a prefix is attached. */
export function createSharedWatch(
  client: EtcdClient,
  deps: { readonly log: Log; readonly cluster: ClusterIdentity },
  signal: AbortSignal,
): SharedWatch {
  const { log, cluster } = deps;
  const attached = new Map<PrefixState, (detached: WatchEnd) => void>();
  let wake = (): void => {};
  let stream: WatchStream<PrefixState> | undefined;
  let liveness: Liveness | undefined;
  let provenAt = Number.NEGATIVE_INFINITY;
  let lastError: string | null = null;
  let avoid: string | undefined;

  const detach = (followed: PrefixState, detached: WatchEnd): void => {
    const resolve = attached.get(followed);
    attached.delete(followed);
    resolve?.(detached);
  };

  const resetAll = (why: ClusterReset): void => {
    for (const followed of [...attached.keys()]) {
      stream?.remove(followed);
      detach(followed, { why });
    }
  };

  /** The stream showed another cluster: asks the cluster itself, and has everything read again if it is so. */
  const settleUpheaval = async (): Promise<void> => {
    const followed = pick(attached);
    if (followed === undefined) return;
    const deps = { client, cluster, key: followed.range.key, known: cluster.revision };
    const why = await confirmReset(await readHeader(client, deps.key, {}, signal), deps, signal);
    if (why === undefined) return;
    log.warn('etcd is another cluster or was put back, reading everything again', { why });
    resetAll(why);
  };

  const auditLoop = async (current: WatchStream<PrefixState>, abort: AbortSignal): Promise<void> => {
    for (let wait = firstAudit; ; wait = auditEvery * (0.9 + 0.2 * clock.random())) {
      await sleep(wait, abort);
      if (abort.aborted) return;
      const followed = pick(attached);
      if (followed === undefined || liveness?.quiet) continue;
      try {
        const verdict = await checkFreshness(current, { client, cluster, key: followed.range.key }, abort);
        if (abort.aborted) return;
        if (verdict.kind === 'fresh') {
          provenAt = verdict.since;
          lastError = null;
          current.open.good();
          avoid = undefined;
        } else if (verdict.kind === 'upheaval') {
          log.warn('etcd is another cluster or was put back, reading everything again', { why: verdict.why });
          resetAll(verdict.why);
        } else if (verdict.kind === 'stale') current.end(verdict.error);
      } catch (error) {
        if (!abort.aborted) log.debug('etcd audit failed', { reason: reasonOf(error) });
      }
    }
  };

  const runStream = async (): Promise<void> => {
    while (attached.size === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (signal.aborted) return;
    const over = new AbortController();
    try {
      const open = await client.open<IWatchRequest, IWatchResponse>((rpc) => rpc.watch.watch(), { avoid }, signal);
      const current = new WatchStream<PrefixState>(open, cluster, {
        onWatcherEnd: (followed, why, error) => detach(followed, { why, error }),
      });
      stream = current;
      liveness = watchLiveness(current, {}, over.signal);
      for (const followed of attached.keys()) current.add(followed);
      log.debug('etcd watch opened', { member: open.member, prefixes: attached.size });
      auditLoop(current, over.signal);
      await current.ended;
    } catch (error) {
      if (signal.aborted) return;
      const reason = reasonOf(error);
      lastError = reason;
      watchStreamEnds.inc({ reason: isStaleToken(reason) ? 'token' : stream === undefined ? 'open' : 'stream' });
      avoid = isStaleToken(reason) ? undefined : stream?.open.member;
      stream?.open.failed(error);
      if (stream?.upheaval !== undefined) await settleUpheaval();
      throw error;
    } finally {
      over.abort();
      stream = undefined;
      liveness = undefined;
    }
  };

  const stop = (): void => {
    wake();
    stream?.end(new Error('aborted'));
    for (const followed of [...attached.keys()]) detach(followed, { why: 'aborted' });
  };
  signal.addEventListener('abort', stop, { once: true });

  void supervise(
    runStream,
    {
      what: 'etcd watch',
      log,
      // An outage ends for all at once: full jitter spreads them, and nobody stays out for long.
      backoff: { baseMs: 50, maxMs: 2_000 },
      healthyAfterMs: 10_000,
      onReason: (reason) => {
        lastError = reason;
      },
    },
    signal,
  );

  return {
    attach(followed, abort) {
      return new Promise((resolve) => {
        if (signal.aborted || abort.aborted) {
          resolve({ why: 'aborted' });
          return;
        }
        const onAbort = (): void => {
          stream?.remove(followed);
          detach(followed, { why: 'aborted' });
        };
        abort.addEventListener('abort', onAbort, { once: true });
        attached.set(followed, (detached) => {
          abort.removeEventListener('abort', onAbort);
          resolve(detached);
        });
        stream?.add(followed);
        wake();
      });
    },
    resetAll,
    async proven(revision, limit) {
      const current = stream;
      if (current === undefined || current.pending > 0) return false;
      current.requestProgress();
      const trusted = atLeast(current.open.version, [3, 5, 8]);
      return (await proven(current, revision, limit, signal)) && trusted && stream === current;
    },
    get provenAt() {
      return provenAt;
    },
    get member() {
      return stream?.open.member ?? null;
    },
    get lastError() {
      return lastError;
    },
    get quiet() {
      return liveness?.quiet === true;
    },
  };
}

function pick(attached: ReadonlyMap<PrefixState, unknown>): PrefixState | undefined {
  const skip = Math.floor(clock.random() * attached.size);
  let index = 0;
  for (const followed of attached.keys()) {
    if (index === skip) return followed;
    index += 1;
  }
  return undefined;
}
