import { setMaxListeners } from 'node:events';
import { status } from '@grpc/grpc-js';
import { jittered } from '../../async/backoff.ts';
import { clock } from '../../async/clock.ts';
import { Semaphore } from '../../async/semaphore.ts';
import { sleep } from '../../async/sleep.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { EtcdError, isDenied } from '../client/errors.ts';
import { losesEvents } from '../client/version.ts';
import { ClusterIdentity } from './cluster-identity.ts';
import { confirmReset } from './freshness.ts';
import { type Listing, list } from './list.ts';
import { type OnChange, PrefixState } from './prefix-state.ts';
import { relists, resyncRepairs } from './reflector-metrics.ts';
import { createSharedWatch, type WatchEnd } from './shared-watch.ts';

export type { Entry } from '../client/key-value.ts';
export type { KeyChange, OnChange, PrefixChange } from './prefix-state.ts';

/** Keeps copies of the keys under some prefixes, each change as soon as it arrives, none missed. */
export interface Reflector {
  /**
   * Follows all keys that start with `prefix`: calls `onChange` once with the full set, then after each change,
   * synchronously from the stream. What is known stands while etcd is away: an error is never an empty set.
   * Resolves when `signal` aborts.
   */
  follow(prefix: string, onChange: OnChange, signal: AbortSignal): Promise<void>;
  readonly status: ReflectorStatus;
}

export interface ReflectorStatus {
  /** Every prefix has been read once. */
  readonly synced: boolean;
  readonly prefixes: number;
  /** Whose watch stream is open; null while there is none. */
  readonly member: string | null;
  /** The highest revision seen. */
  readonly revision: string;
  /** Milliseconds since everything was last known to be what the cluster has; null before the first time. */
  readonly age: number | null;
  /** Milliseconds since the leader was seen to have changed; null when it has not. */
  readonly electionAge: number | null;
  /** Why it may be out of date; null while all is well. */
  readonly reason: string | null;
  /** Prefixes that may not be read, with etcd's reason. */
  readonly denied: Readonly<Record<string, string>>;
}

/** Lists at the same time: enough for 5,000 prefixes within seconds, few enough for etcd. */
const concurrentLists = 8;
/** Everything is read again this often, in milliseconds; more often from releases that lose events, and from proxies. */
const checkEvery = 600_000;
const checkOldEvery = { min: 60_000, each: 60, max: 300_000 };
const checkQuietEvery = 120_000;

/** Makes a reflector; does no I/O until something is followed. Everything ends when `signal` aborts. */
export function createReflector(client: EtcdClient, deps: { readonly log: Log }, signal: AbortSignal): Reflector {
  const { log } = deps;
  // Each prefix listens to it.
  setMaxListeners(0, signal);
  const cluster = new ClusterIdentity();
  const hub = createSharedWatch(client, { log, cluster }, signal);
  const limit = new Semaphore(concurrentLists);
  const follows = new Set<PrefixState>();
  const watched = new Set<PrefixState>();
  const denied = new Map<string, string>();
  const generations = new WeakMap<PrefixState, number>();
  let listError: string | null = null;

  const nextCheck = (spread: number): number => {
    const { min, each, max } = checkOldEvery;
    let every = checkEvery;
    if (hub.quiet) every = checkQuietEvery;
    // The fewer prefixes there are, the less it costs.
    else if (losesEvents(client.status.version ?? undefined)) every = Math.min(max, Math.max(min, each * follows.size));
    return clock.now() + every * (1 - spread + 2 * spread * clock.random());
  };

  /** Reads all of a prefix, and hands over what differs if the list is still `wanted`. Returns how much did. */
  const refresh = async (
    followed: PrefixState,
    abort: AbortSignal,
    wanted: (listing: Listing) => Promise<boolean> = async () => true,
  ): Promise<number> => {
    const askedAt = clock.now();
    const known = cluster.revision;
    const generation = cluster.generation;
    const journal = followed.beginList();
    try {
      const listing = await list(client, followed.range, abort);
      const header = { cluster_id: listing.clusterId, revision: String(listing.revision) };
      const why = await confirmReset(header, { client, cluster, key: followed.range.key, known }, abort);
      if (why !== undefined) {
        log.warn('etcd is another cluster or was put back, reading everything again', { why });
        hub.resetAll(why);
      }
      if (!(await wanted(listing)) || abort.aborted) return 0;
      if (cluster.generation !== generation) {
        throw new EtcdError('etcd list', status.ABORTED, 'read before it was known that the cluster was replaced');
      }
      cluster.note(listing.revision);
      const reset = (generations.get(followed) ?? generation) !== generation;
      generations.set(followed, generation);
      followed.listedAt = askedAt;
      return followed.applyList(listing, journal, { reset, seenAt: clock.now() });
    } finally {
      followed.endList(journal);
    }
  };

  /** Reads a prefix that is being watched again, to find what the watch may have lost. */
  const check = async (followed: PrefixState): Promise<void> => {
    relists.inc({ reason: 'periodic' });
    try {
      let proof = false;
      const differing = await refresh(followed, signal, async ({ revision }) => {
        proof = await hub.proven(revision, 2_000);
        return watched.has(followed);
      });
      if (differing === 0 || !proof) return;
      resyncRepairs.inc(differing);
      log.error('etcd watch had lost changes, put right', { prefix: followed.prefix, keys: differing });
    } catch (error) {
      if (signal.aborted) return;
      log.debug('etcd periodic list failed', { prefix: followed.prefix, reason: reasonOf(error) });
      // What the handler lost by throwing is given to it again soon.
      if (followed.owed) followed.checkAt = clock.now() + 5_000;
    }
  };

  const checkLoop = async (): Promise<void> => {
    while (!signal.aborted) {
      await sleep(1_000, signal);
      const now = clock.now();
      for (const followed of watched) {
        if (followed.checkAt > now) continue;
        followed.checkAt = nextCheck(0.1);
        void limit.run(() => check(followed));
      }
    }
  };

  /** One round: read, then watch until that cannot go on. */
  const round = async (followed: PrefixState, reason: string, abort: AbortSignal): Promise<WatchEnd> => {
    await limit.run(async () => {
      if (abort.aborted) return;
      if (reason !== 'initial') relists.inc({ reason });
      await refresh(followed, abort);
    });
    if (denied.delete(followed.prefix)) log.info('etcd prefix may be read again', { prefix: followed.prefix });
    listError = null;
    followed.checkAt = nextCheck(0.5);
    watched.add(followed);
    try {
      return await hub.attach(followed, abort);
    } finally {
      watched.delete(followed);
    }
  };

  const deny = (prefix: string, reason: string): void => {
    if (!denied.has(prefix)) log.error('etcd prefix may not be read, keeping what is known', { prefix, reason });
    denied.set(prefix, reason);
  };

  let checking = false;
  return {
    async follow(prefix, onChange, abort) {
      const followed = new PrefixState(prefix, onChange);
      const either = new AbortController();
      const onAbort = (): void => either.abort();
      setMaxListeners(0, abort);
      for (const source of [signal, abort]) {
        if (source.aborted) return;
        source.addEventListener('abort', onAbort, { once: true });
      }
      follows.add(followed);
      if (!checking) void checkLoop();
      checking = true;
      let reason = 'initial';
      let failures = 0;
      while (!either.signal.aborted) {
        const startedAt = clock.now();
        let refused = false;
        try {
          const { why, error } = await round(followed, reason, either.signal);
          if (either.signal.aborted) break;
          reason = why;
          refused = why === 'denied';
          if (refused) deny(prefix, reasonOf(error));
          if (why === 'handler') log.error('etcd change handler failed', { prefix, reason: reasonOf(error) });
          else log.debug('etcd watch of a prefix ended, reading it again', { prefix, why });
          if (clock.now() - startedAt > 10_000) failures = 0;
          if (why === 'disorder') log.warn('etcd watch went back in time, reading the prefix again', { prefix });
          if (why !== 'denied' && why !== 'handler' && why !== 'canceled' && why !== 'disorder') continue;
        } catch (error) {
          if (either.signal.aborted) break;
          const text = reasonOf(error);
          listError = text;
          refused = isDenied(text);
          if (refused) deny(prefix, text);
          else log.debug('etcd prefix could not be read', { prefix, reason: text });
        }
        const backoff = refused ? { baseMs: 20_000, maxMs: 20_000 } : { baseMs: 100, maxMs: 5_000 };
        await sleep((refused ? 10_000 : 0) + jittered(backoff, failures), either.signal);
        failures += 1;
      }
      follows.delete(followed);
      denied.delete(prefix);
      for (const source of [signal, abort]) source.removeEventListener('abort', onAbort);
    },

    get status() {
      let oldest = follows.size === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
      let synced = true;
      for (const followed of follows) {
        oldest = Math.min(oldest, followed.listedAt);
        synced &&= followed.listed;
      }
      const proof = synced ? Math.max(hub.provenAt, oldest) : oldest;
      return {
        synced,
        prefixes: follows.size,
        member: hub.member,
        revision: String(cluster.revision),
        electionAge: Number.isFinite(cluster.electedAt) ? clock.now() - cluster.electedAt : null,
        age: Number.isFinite(proof) ? clock.now() - proof : null,
        reason: listError ?? hub.lastError,
        denied: Object.fromEntries(denied),
      };
    },
  };
}
