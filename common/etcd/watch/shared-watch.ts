import { status } from '@grpc/grpc-js';
import type { IWatchRequest, IWatchResponse } from 'etcd3/lib/rpc.js';
import { onAbort } from '../../async/abort.ts';
import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import { supervise } from '../../async/supervise.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { EtcdError, isStaleToken } from '../client/errors.ts';
import { watchStreamEnds } from '../client/metrics.ts';
import { atLeast } from '../client/version.ts';
import type { ClusterIdentity, ClusterReset } from './cluster-identity.ts';
import { checkFreshness, type Freshness, type FreshnessDeps, findReset, hasShown } from './freshness.ts';
import { Liveness } from './liveness.ts';
import type { PrefixState } from './prefix-state.ts';
import { contactLoss, freshness, sharedWatchLiveness, streamBackoff, streamHealthyMs } from './timing.ts';
import { type WatcherEnd, WatchStream } from './watch-stream.ts';

/** Why the watch of a prefix ended: before it is watched again, it has to be listed. */
export interface WatchEnd {
  readonly why: WatcherEnd | ClusterReset | 'aborted';
  readonly error?: unknown;
}

/** What a shared watch needs. */
export interface SharedWatchDeps {
  readonly log: Log;
  readonly cluster: ClusterIdentity;
  /** Called when a stream works again after a loss of contact in which the cluster may have been restored from a backup. */
  readonly onContactLost: () => void;
}

/**
 * One watch stream for all prefixes of a reflector, on whichever member works. The loss of the stream ends no prefix's
 * watch: the next stream resumes each where it was.
 */
export class SharedWatch {
  readonly #client: EtcdClient;
  readonly #log: Log;
  readonly #cluster: ClusterIdentity;
  readonly #onContactLost: () => void;
  readonly #signal: AbortSignal;
  /** The prefixes that are watched, each with what ends its watch. */
  readonly #attached = new Map<PrefixState, (end: WatchEnd) => void>();
  #onFirstPrefix = (): void => {};
  #stream: WatchStream<PrefixState> | undefined;
  #liveness: Liveness | undefined;
  #provenAt = Number.NEGATIVE_INFINITY;
  #reason: string | null = null;
  #avoid: string | undefined;
  /** Until when a stream showed that its member lives, milliseconds of `clock.now()`. */
  #contactAt = Number.POSITIVE_INFINITY;

  constructor(client: EtcdClient, { log, cluster, onContactLost }: SharedWatchDeps, signal: AbortSignal) {
    this.#client = client;
    this.#log = log;
    this.#cluster = cluster;
    this.#onContactLost = onContactLost;
    this.#signal = signal;
  }

  /** When everything that is watched was last known to be what the cluster has; -Infinity before. */
  get provenAt(): number {
    return this.#provenAt;
  }

  /** The address of the member that has the stream; null while no stream is open. */
  get member(): string | null {
    return this.#stream?.open.member ?? null;
  }

  /** Why what is known may be out of date; null while all is well. */
  get reason(): string | null {
    return this.#reason;
  }

  /** The member answers no progress requests (grpc-proxy): only another list shows whether anything is missing. */
  get answersNoProgress(): boolean {
    return this.#liveness?.answersNoProgress === true;
  }

  /** Opens a stream as soon as a prefix is watched, and another one when that ends; to be called once. */
  start(): void {
    onAbort(this.#signal, () => this.#stop());
    const options = {
      what: 'etcd watch',
      log: this.#log,
      backoff: streamBackoff,
      healthyAfterMs: streamHealthyMs,
      onReason: (reason: string | null) => {
        this.#reason = reason;
      },
    };
    void supervise(() => this.#watchOnce(), options, this.#signal);
  }

  /** Watches a prefix from where it is. Resolves when that cannot go on. */
  watch(state: PrefixState, signal: AbortSignal): Promise<WatchEnd> {
    return new Promise((resolve) => {
      if (this.#signal.aborted || signal.aborted) {
        resolve({ why: 'aborted' });
        return;
      }
      const release = onAbort(signal, () => this.#detach(state, { why: 'aborted' }));
      this.#attached.set(state, (end) => {
        release();
        resolve(end);
      });
      this.#stream?.add(state);
      this.#onFirstPrefix();
    });
  }

  /** Ends every prefix's watch, so that all are listed again. */
  resetAll(reset: ClusterReset): void {
    this.#log.warn('etcd is another cluster or was restored from a backup, reading everything again', { why: reset });
    for (const state of [...this.#attached.keys()]) this.#detach(state, { why: reset });
  }

  /** The member answers progress requests, and not ahead of events, as older releases do (etcd #15220). */
  get saysHowFar(): boolean {
    return this.#stream !== undefined && !this.answersNoProgress && atLeast(this.#stream.open.version, [3, 5, 8]);
  }

  /** True when the watch is known to have shown `revision`; waits for that at most `limitMs`. */
  async hasShown(revision: number, limitMs: number): Promise<boolean> {
    const stream = this.#stream;
    if (stream === undefined || stream.pending > 0) return false;
    stream.requestProgress();
    const isTrusted = this.saysHowFar;
    return (await hasShown(stream, revision, limitMs, this.#signal)) && isTrusted && this.#stream === stream;
  }

  #stop(): void {
    this.#onFirstPrefix();
    this.#stream?.end(new Error('aborted'));
    for (const state of [...this.#attached.keys()]) this.#detach(state, { why: 'aborted' });
  }

  #detach(state: PrefixState, end: WatchEnd): void {
    this.#stream?.remove(state);
    const resolve = this.#attached.get(state);
    this.#attached.delete(state);
    resolve?.(end);
  }

  /** Opens one stream and watches over it until it ends. */
  async #watchOnce(): Promise<void> {
    await this.#untilFirstPrefix();
    if (this.#signal.aborted) return;
    const over = new AbortController();
    try {
      const stream = await this.#open();
      this.#stream = stream;
      this.#liveness = new Liveness(stream, sharedWatchLiveness);
      this.#liveness.start(over.signal);
      for (const state of this.#attached.keys()) stream.add(state);
      this.#log.debug('etcd watch opened', { member: stream.open.member, prefixes: this.#attached.size });
      void this.#checkLoop(stream, over.signal);
      await stream.ended;
    } catch (error) {
      if (this.#signal.aborted) return;
      this.#streamFailed(error);
      if (this.#stream?.suspectedReset !== undefined) await this.#settleReset();
      throw error;
    } finally {
      over.abort();
      this.#stream = undefined;
      this.#liveness = undefined;
    }
  }

  async #untilFirstPrefix(): Promise<void> {
    while (this.#attached.size === 0 && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#onFirstPrefix = resolve;
      });
    }
  }

  async #open(): Promise<WatchStream<PrefixState>> {
    const limits = { avoid: this.#avoid };
    const open = await this.#client.open<IWatchRequest, IWatchResponse>(
      (rpc) => rpc.watch.watch(),
      limits,
      this.#signal,
    );
    return new WatchStream<PrefixState>(open, this.#cluster, {
      onFirstMessage: () => this.#inContact(),
      onWatcherEnd: (state, why, error) => this.#detach(state, { why, error }),
    });
  }

  #inContact(): void {
    if (clock.now() - this.#contactAt >= contactLoss.restoreMs) this.#onContactLost();
    this.#contactAt = Number.POSITIVE_INFINITY;
  }

  #streamFailed(error: unknown): void {
    const stream = this.#stream;
    if (stream?.hasAnswered) {
      // A stream that was cut was in contact until then; one that hung, until its last message.
      const isHung = error instanceof EtcdError && error.code === status.DEADLINE_EXCEEDED;
      this.#contactAt = isHung ? stream.lastMessageAt : clock.now();
    }
    const reason = reasonOf(error);
    const isToken = isStaleToken(reason);
    this.#reason = reason;
    watchStreamEnds.inc({ reason: isToken ? 'token' : this.#stream === undefined ? 'open' : 'stream' });
    this.#avoid = isToken ? undefined : this.#stream?.open.member;
    this.#stream?.open.failed(error);
  }

  /** The stream showed another cluster: asks the cluster itself, and has everything listed again when it is so. */
  async #settleReset(): Promise<void> {
    const deps = this.#freshnessDeps();
    if (deps === undefined) return;
    const reset = await findReset(deps, this.#signal);
    if (reset !== undefined) this.resetAll(reset);
  }

  async #checkLoop(stream: WatchStream<PrefixState>, signal: AbortSignal): Promise<void> {
    const { firstCheckMs, checkEveryMs, jitter } = freshness;
    let isFirst = true;
    for (let waitMs = firstCheckMs; ; waitMs = checkEveryMs * (1 - jitter + 2 * jitter * clock.random())) {
      await sleep(waitMs, signal);
      if (signal.aborted) return;
      const deps = isFirst ? this.#newestDeps() : this.#freshnessDeps();
      isFirst = false;
      if (deps === undefined || this.answersNoProgress) continue;
      try {
        const found = await checkFreshness(stream, deps, signal);
        if (signal.aborted) return;
        this.#judge(stream, found);
      } catch (error) {
        if (!signal.aborted) this.#log.debug('etcd freshness check failed', { reason: reasonOf(error) });
      }
    }
  }

  #judge(stream: WatchStream<PrefixState>, found: Freshness): void {
    if (found.kind === 'fresh') {
      this.#provenAt = found.since;
      this.#reason = null;
      this.#avoid = undefined;
      stream.open.succeeded();
    } else if (found.kind === 'reset') this.resetAll(found.reset);
    else if (found.kind === 'stale') stream.end(found.error);
  }

  /** Asks below one of the prefixes, any one: users may not read elsewhere. Undefined while no prefix is watched. */
  #freshnessDeps(): FreshnessDeps | undefined {
    const states = [...this.#attached.keys()];
    const state = states[Math.floor(clock.random() * states.length)];
    return state && this.#depsOf(state);
  }

  /** Asks for the newest record of all prefixes: after a loss of contact, a restored cluster is likeliest to contradict it. */
  #newestDeps(): FreshnessDeps | undefined {
    let newest: PrefixState | undefined;
    for (const state of this.#attached.keys()) {
      if ((state.newest?.revision ?? 0) >= (newest?.newest?.revision ?? 0)) newest = state;
    }
    return newest && this.#depsOf(newest);
  }

  #depsOf({ range, newest }: PrefixState): FreshnessDeps {
    return { client: this.#client, cluster: this.#cluster, key: range.key, record: newest };
  }
}
