import { status } from '@grpc/grpc-js';
import { jittered } from '../../async/backoff.ts';
import { clock } from '../../async/clock.ts';
import type { Semaphore } from '../../async/semaphore.ts';
import { sleep } from '../../async/sleep.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { TroubleLog } from '../../daemon/trouble-log.ts';
import type { EtcdClient } from '../client/client.ts';
import { EtcdError, isDenied } from '../client/errors.ts';
import type { ClusterIdentity, ClusterProgress, IdentityHeader } from './cluster-identity.ts';
import { confirmReset } from './freshness.ts';
import { type Listing, list } from './list.ts';
import { relists, resyncRepairs } from './metrics.ts';
import { type OnChange, PrefixState } from './prefix-state.ts';
import { revisionOfSameKeys } from './same-keys.ts';
import type { SharedWatch, WatchEnd } from './shared-watch.ts';
import { contactLoss, deniedDelay, listBackoff, prefixHealthyMs, resync } from './timing.ts';

/** What the followers of one reflector share. */
export interface FollowerDeps {
  readonly client: EtcdClient;
  readonly log: Log;
  readonly cluster: ClusterIdentity;
  readonly watch: SharedWatch;
  /** Limits how many lists are under way. */
  readonly lists: Semaphore;
  /** How long after a list a watched prefix is listed again, at present. */
  readonly resyncEveryMs: () => number;
  /** Prefixes that may not be read. */
  readonly denials: TroubleLog;
  /** Told why a list failed; null when one worked. */
  readonly onListed: (reason: string | null) => void;
}

/** Ends of a watch after which the prefix is not listed again at once: the same might happen again. */
const suspectEnds: ReadonlySet<WatchEnd['why']> = new Set(['denied', 'handler', 'canceled', 'disorder']);

/**
 * Follows one prefix in three phases, as client-go's reflector does: **list** all keys, **watch** from there until that
 * cannot go on, then list again; and **resync** now and then while the watch goes on: list, to find what it lost.
 */
export class PrefixFollower {
  readonly prefix: string;
  readonly #deps: FollowerDeps;
  /** Ends the reflector, unlike the signal of {@link run}. */
  readonly #signal: AbortSignal;
  readonly #state: PrefixState;
  /** The cluster's generation at the last list; undefined before. */
  #generation: number | undefined;
  #listedAt = Number.NEGATIVE_INFINITY;
  #isWatched = false;
  /** How many watches there have been. */
  #watches = 0;
  /** When to resync, milliseconds of `clock.now()`. */
  #resyncAt = 0;
  #resyncWhy: 'periodic' | 'contact-lost' = 'periodic';
  #denied: string | null = null;
  #failures = 0;

  /** @param signal ends the reflector */
  constructor(prefix: string, onChange: OnChange, deps: FollowerDeps, signal: AbortSignal) {
    this.prefix = prefix;
    this.#deps = deps;
    this.#signal = signal;
    this.#state = new PrefixState(prefix, onChange);
  }

  /** The handler has had all keys once. */
  get synced(): boolean {
    return this.#state.listed;
  }

  /** When the last list was requested, milliseconds of `clock.now()`; -Infinity before the first. */
  get listedAt(): number {
    return this.#listedAt;
  }

  /** Which watch the prefix has, as a number that only grows; undefined while it is listed. */
  get watch(): number | undefined {
    return this.#isWatched ? this.#watches : undefined;
  }

  /** Everything below the prefix is known up to this revision; 0 before the first list. More may have come and not be known. */
  get revision(): number {
    return Math.max(0, this.#state.nextRevision - 1);
  }

  /**
   * Compares what is known with what the cluster has now.
   * @returns the revision of the cluster at which both are the same; undefined when they differ
   * @throws {EtcdError} when the cluster cannot be read
   */
  compare(signal: AbortSignal): Promise<number | undefined> {
    const { client, lists } = this.#deps;
    return lists.run(() => revisionOfSameKeys(client, this.#state.range, () => this.#state.entries, signal));
  }

  /** Why this prefix may not be read; null when it may. */
  get denied(): string | null {
    return this.#denied;
  }

  /** Lists and watches until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let why: string | null = null;
    while (!signal.aborted) {
      const startedAt = clock.now();
      let refused: boolean;
      try {
        await this.#list(why, signal);
        const end = await this.#watch(signal);
        if (signal.aborted) return;
        if (clock.now() - startedAt > prefixHealthyMs) this.#failures = 0;
        why = end.why;
        this.#watchEnded(end);
        if (!suspectEnds.has(end.why)) continue;
        refused = end.why === 'denied';
      } catch (error) {
        if (signal.aborted) return;
        refused = isDenied(reasonOf(error));
        this.#listFailed(error);
      }
      await sleep(this.#delayMs(refused), signal);
      this.#failures += 1;
    }
  }

  /** Says that the cluster was out of reach, and may have been restored: resyncs soon. */
  contactLost(): void {
    if (!this.#isWatched) return;
    this.#resyncWhy = 'contact-lost';
    this.#resyncAt = Math.min(this.#resyncAt, clock.now() + clock.random() * contactLoss.spreadMs);
  }

  /** Resyncs in the background when it is time for that. */
  resyncIfDue(now: number): void {
    if (!this.#isWatched || this.#resyncAt > now) return;
    const why = this.#resyncWhy;
    this.#scheduleResync(resync.jitter);
    void this.#deps.lists.run(() => this.#resync(why));
  }

  /** @param why why the prefix is listed again; null the first time */
  async #list(why: string | null, signal: AbortSignal): Promise<void> {
    const { lists, denials, onListed } = this.#deps;
    await lists.run(async () => {
      if (signal.aborted) return;
      if (why !== null) relists.inc({ reason: why });
      await this.#read(signal, async () => true);
    });
    denials.remove(this.prefix);
    this.#denied = null;
    onListed(null);
    this.#scheduleResync(resync.firstJitter);
  }

  async #watch(signal: AbortSignal): Promise<WatchEnd> {
    this.#isWatched = true;
    this.#watches += 1;
    try {
      return await this.#deps.watch.watch(this.#state, signal);
    } finally {
      this.#isWatched = false;
    }
  }

  /** Lists while the watch goes on, and repairs what the watch lost. */
  async #resync(why: 'periodic' | 'contact-lost'): Promise<void> {
    const { cluster, log, watch } = this.#deps;
    relists.inc({ reason: why });
    try {
      let isProven = false;
      let header: IdentityHeader | undefined;
      const lost = await this.#read(this.#signal, async (listing) => {
        header = headerOf(listing);
        isProven = await watch.hasShown(listing.revision, resync.proofMs);
        return this.#isWatched;
      });
      if (lost === 0 || !isProven || header === undefined) return;
      if (why === 'contact-lost') {
        // The other prefixes need not wait for their turns.
        cluster.accept(header);
        watch.resetAll('history-differs');
        return;
      }
      resyncRepairs.inc(lost);
      log.error('etcd watch had lost changes, repaired from a list', { prefix: this.prefix, keys: lost });
    } catch (error) {
      if (this.#signal.aborted) return;
      log.debug('etcd periodic list failed', { prefix: this.prefix, reason: reasonOf(error) });
      // A handler that threw is to have what it lost soon.
      const isOwed = this.#state.owed || why === 'contact-lost';
      if (isOwed) this.#resyncAt = clock.now() + resync.owedMs;
      if (isOwed) this.#resyncWhy = why;
    }
  }

  /**
   * Reads all keys, and applies them if `isWanted` still says so.
   * @returns how many keys differed
   */
  async #read(signal: AbortSignal, isWanted: (listing: Listing) => Promise<boolean>): Promise<number> {
    const { client, cluster } = this.#deps;
    const { generation, progress } = cluster;
    const askedAt = clock.now();
    const journal = this.#state.beginList();
    try {
      const listing = await list(client, this.#state.range, signal);
      await this.#checkReset(listing, progress, signal);
      if (!(await isWanted(listing)) || signal.aborted) return 0;
      if (cluster.generation !== generation) {
        throw new EtcdError('etcd list', status.ABORTED, 'read before it was known that the cluster was replaced');
      }
      const reset = this.#generation !== undefined && this.#generation !== generation;
      this.#generation = generation;
      this.#listedAt = askedAt;
      return this.#state.applyList(listing, journal, { reset, seenAt: clock.now() });
    } finally {
      this.#state.endList(journal);
    }
  }

  async #checkReset(listing: Listing, known: ClusterProgress, signal: AbortSignal): Promise<void> {
    const { client, cluster, watch } = this.#deps;
    const deps = { client, cluster, key: this.#state.range.key, known };
    const reset = await confirmReset({ header: headerOf(listing) }, deps, signal);
    if (reset !== undefined) watch.resetAll(reset);
  }

  #watchEnded({ why, error }: WatchEnd): void {
    const { log } = this.#deps;
    const { prefix } = this;
    const reason = reasonOf(error);
    if (why === 'denied') this.#deny(reason);
    if (why === 'handler') log.error('etcd change handler failed', { prefix, reason });
    else log.debug('etcd watch of a prefix ended, reading it again', { prefix, why });
    if (why === 'disorder') log.warn('etcd watch went back in time, reading the prefix again', { prefix });
  }

  #listFailed(error: unknown): void {
    const reason = reasonOf(error);
    this.#deps.onListed(reason);
    if (isDenied(reason)) this.#deny(reason);
    else this.#deps.log.debug('etcd prefix could not be read', { prefix: this.prefix, reason });
  }

  #deny(reason: string): void {
    this.#deps.denials.add(this.prefix, { reason });
    this.#denied = reason;
  }

  /** How long to wait before the next list; longer when this user may not read the prefix. */
  #delayMs(refused: boolean): number {
    const { minMs, spread } = deniedDelay;
    return refused ? minMs + jittered(spread, this.#failures) : jittered(listBackoff, this.#failures);
  }

  #scheduleResync(jitter: number): void {
    this.#resyncWhy = 'periodic';
    this.#resyncAt = clock.now() + this.#deps.resyncEveryMs() * (1 - jitter + 2 * jitter * clock.random());
  }
}

function headerOf({ clusterId, revision, term }: Listing): IdentityHeader {
  return { cluster_id: clusterId, revision: String(revision), raft_term: term };
}
