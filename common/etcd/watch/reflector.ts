import { setMaxListeners } from 'node:events';
import { linkAbort, onAbort } from '../../async/abort.ts';
import { clock } from '../../async/clock.ts';
import { Semaphore } from '../../async/semaphore.ts';
import { sleep } from '../../async/sleep.ts';
import { withTimeout } from '../../async/timeout.ts';
import type { Log } from '../../daemon/log.ts';
import { TroubleLog, type TroubleTexts } from '../../daemon/trouble-log.ts';
import type { EtcdClient } from '../client/client.ts';
import { losesEvents } from '../client/version.ts';
import { ClusterIdentity } from './cluster-identity.ts';
import { type FollowerDeps, PrefixFollower } from './prefix-follower.ts';
import type { OnChange } from './prefix-state.ts';
import { SharedWatch } from './shared-watch.ts';
import { resync } from './timing.ts';

/** Keeps copies of the keys under some prefixes. Passes on each change as soon as it arrives, and misses none. */
export interface Reflector {
  /**
   * Follows all keys that start with `prefix`: calls `onChange` once with all of them, then after each change, synchronously
   * from the stream. While etcd is away, what is known stands: an error is never an empty set. Resolves when `signal` aborts.
   */
  follow(prefix: string, onChange: OnChange, signal: AbortSignal): Promise<void>;
  /**
   * True when the handlers have had everything up to `revision`: of all prefixes, or of `prefixes`. False when that is not known
   * within `limitMs`. A cluster that cannot be read, or whose member lags, is not known to have nothing newer. Never rejects.
   */
  hasShown(revision: number, options: ShownOptions): Promise<boolean>;
  readonly status: ReflectorStatus;
}

/** See {@link Reflector.hasShown}. */
export interface ShownOptions {
  readonly limitMs: number;
  readonly prefixes?: ReadonlySet<string> | undefined;
}

/** How up to date the copies are. */
export interface ReflectorStatus {
  /** Every prefix has been read once. */
  readonly synced: boolean;
  /** How many prefixes are followed. */
  readonly prefixes: number;
  /** The member that has the watch stream; null while no stream is open. */
  readonly member: string | null;
  /** The highest revision seen. */
  readonly revision: string;
  /** Milliseconds since everything was last known to be what the cluster has; null before the first time. */
  readonly ageMs: number | null;
  /** Milliseconds since the leader was seen to have changed; null when it has not. */
  readonly electionAgeMs: number | null;
  /** Why the copies may be out of date; null while all is well. */
  readonly reason: string | null;
  /** Prefixes that may not be read, with etcd's reason. */
  readonly denied: Readonly<Record<string, string>>;
}

/** Lists that are under way at the same time: enough for 5,000 prefixes within seconds, few enough for etcd. */
const concurrentLists = 8;

const denial: TroubleTexts = {
  begins: 'etcd prefixes may not be read, keeping what is known',
  goesOn: 'etcd prefixes still may not be read',
  ends: 'etcd prefixes may be read again',
  counts: 'prefixes',
  level: 'error',
};

/** Makes a reflector; does no I/O until a prefix is followed. Everything ends when `signal` aborts. */
export function createReflector(client: EtcdClient, deps: { readonly log: Log }, signal: AbortSignal): Reflector {
  return new EtcdReflector(client, deps, signal);
}

class EtcdReflector implements Reflector {
  readonly #client: EtcdClient;
  readonly #signal: AbortSignal;
  readonly #cluster = new ClusterIdentity();
  readonly #watch: SharedWatch;
  readonly #followers = new Set<PrefixFollower>();
  readonly #followerDeps: FollowerDeps;
  #listReason: string | null = null;
  #isStarted = false;

  constructor(client: EtcdClient, { log }: { readonly log: Log }, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
    // Each prefix listens to it.
    setMaxListeners(0, signal);
    const cluster = this.#cluster;
    const onContactLost = (): void => {
      for (const follower of this.#followers) follower.contactLost();
    };
    const watch = new SharedWatch(client, { log, cluster, onContactLost }, signal);
    this.#watch = watch;
    this.#followerDeps = {
      client,
      log,
      cluster,
      watch,
      lists: new Semaphore(concurrentLists),
      denials: new TroubleLog(denial, { log }),
      resyncEveryMs: () => this.#resyncEveryMs(),
      onListed: (reason) => {
        this.#listReason = reason;
      },
    };
  }

  async follow(prefix: string, onChange: OnChange, signal: AbortSignal): Promise<void> {
    setMaxListeners(0, signal);
    if (this.#signal.aborted || signal.aborted) return;
    this.#start();
    const follower = new PrefixFollower(prefix, onChange, this.#followerDeps, this.#signal);
    const either = linkAbort(this.#signal);
    const release = onAbort(signal, () => either.abort());
    this.#followers.add(follower);
    await follower.run(either.signal);
    this.#followers.delete(follower);
    this.#followerDeps.denials.remove(prefix);
    release();
    either.release();
  }

  async hasShown(revision: number, { limitMs, prefixes }: ShownOptions): Promise<boolean> {
    const asked = [...this.#followers].filter(({ prefix }) => prefixes === undefined || prefixes.has(prefix));
    const behind = asked.filter((follower) => follower.revision < revision);
    if (asked.length === 0 || behind.length === 0) return asked.length > 0;
    if (this.#watch.saysHowFar) return await this.#watchHasShown(revision, { behind, limitMs });
    const results = await Promise.all(behind.map((follower) => this.#compare(follower, limitMs)));
    return results.every((known) => known >= revision);
  }

  /** A prefix that is being listed again is not watched: nothing is known of it then. */
  async #watchHasShown(
    revision: number,
    { behind, limitMs }: { readonly behind: readonly PrefixFollower[]; readonly limitMs: number },
  ): Promise<boolean> {
    const before = behind.map(({ watch }) => watch);
    if (before.includes(undefined) || !(await this.#watch.hasShown(revision, limitMs))) return false;
    return behind.every(({ watch }, index) => watch === before[index]);
  }

  async #compare(follower: PrefixFollower, limitMs: number): Promise<number> {
    const task = (signal: AbortSignal): Promise<number | undefined> => follower.compare(signal);
    const options = { timeoutMs: limitMs, what: `reading ${follower.prefix}` };
    return (await withTimeout(task, options, this.#signal).catch(() => undefined)) ?? 0;
  }

  get status(): ReflectorStatus {
    let oldestListAt = this.#followers.size === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    let synced = true;
    const denied: Record<string, string> = {};
    for (const follower of this.#followers) {
      oldestListAt = Math.min(oldestListAt, follower.listedAt);
      synced &&= follower.synced;
      if (follower.denied !== null) denied[follower.prefix] = follower.denied;
    }
    const provenAt = synced ? Math.max(this.#watch.provenAt, oldestListAt) : oldestListAt;
    return {
      synced,
      prefixes: this.#followers.size,
      member: this.#watch.member,
      revision: String(this.#cluster.revision),
      electionAgeMs: ageMsOf(this.#cluster.electedAt),
      ageMs: ageMsOf(provenAt),
      reason: this.#listReason ?? this.#watch.reason,
      denied,
    };
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#watch.start();
    void this.#resyncLoop();
  }

  async #resyncLoop(): Promise<void> {
    while (!this.#signal.aborted) {
      await sleep(resync.tickMs, this.#signal);
      if (this.#signal.aborted) return;
      const now = clock.now();
      for (const follower of this.#followers) follower.resyncIfDue(now);
    }
  }

  #resyncEveryMs(): number {
    const { everyMs, noProgressMs, lossyMsPerPrefix, lossyMinMs, lossyMaxMs } = resync;
    if (this.#watch.answersNoProgress) return noProgressMs;
    if (!losesEvents(this.#client.status.version ?? undefined)) return everyMs;
    // The fewer prefixes there are, the less it costs.
    return Math.min(lossyMaxMs, Math.max(lossyMinMs, lossyMsPerPrefix * this.#followers.size));
  }
}

/** Milliseconds since then; null when that was never. */
function ageMsOf(at: number): number | null {
  return Number.isFinite(at) ? clock.now() - at : null;
}
