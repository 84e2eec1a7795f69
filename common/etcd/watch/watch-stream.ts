import { status } from '@grpc/grpc-js';
import type { IEvent, IWatchRequest, IWatchResponse } from 'etcd3/lib/rpc.js';
import { linkAbort } from '../../async/abort.ts';
import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import type { OpenStream } from '../client/client.ts';
import { EtcdError, etcdError, isCompacted, isDenied, isStaleToken } from '../client/errors.ts';
import type { KeyRange } from '../client/key-value.ts';
import { watchEvents } from '../client/metrics.ts';
import type { ClusterIdentity, ClusterReset } from './cluster-identity.ts';
import { OutOfOrder } from './prefix-state.ts';

/** Why one watcher cannot go on from where it was; the others on the stream go on. */
export type WatcherEnd = 'compacted' | 'denied' | 'canceled' | 'disorder' | 'handler';

/** What one watcher of a stream watches. */
export interface Watched {
  readonly range: KeyRange;
  /** Called when the watch is requested. @returns the revision to watch from */
  resume(): number;
  /**
   * Takes events.
   * @returns how many were new
   * @throws when the events or their handling are wrong: the watcher ends
   */
  applyEvents(events: readonly IEvent[], seenAt: number): number;
}

/** What a stream tells its owner. */
export interface WatchHooks<W extends Watched> {
  /** The member sent its first message. */
  onFirstMessage?(): void;
  /** The member has taken a watcher: it shows what is written from then on, or from the revision that was asked for. */
  onCreated?(): void;
  /** One watcher ended; the stream goes on. */
  onWatcherEnd(watched: W, end: WatcherEnd, error: unknown): void;
}

/** How far a member says that all watchers of a stream are. */
export interface WatchProgress {
  readonly revision: number;
  /** Milliseconds of `clock.now()`. */
  readonly at: number;
}

interface Watcher<W extends Watched> {
  readonly watched: W;
  /** The fragments of one response that have come so far. */
  parts: IEvent[];
  removed: boolean;
}

/** One watch stream with many watchers. Events are applied in the stream's own callback, without a delay. */
export class WatchStream<W extends Watched> {
  readonly open: OpenStream<IWatchRequest, IWatchResponse>;
  /** Rejects when the stream is over; never resolves. */
  readonly ended: Promise<never>;
  readonly #cluster: ClusterIdentity;
  readonly #hooks: WatchHooks<W>;
  /** In the order of their requests, which is the order of the answers. */
  readonly #pending: Watcher<W>[] = [];
  readonly #watchers = new Map<string, Watcher<W>>();
  readonly #byWatched = new Map<W, Watcher<W>>();
  readonly #ids = new Map<Watcher<W>, string>();
  #suspectedReset: ClusterReset | undefined;
  #lastMessageAt = clock.now();
  #hasAnswered = false;
  #progress: WatchProgress | undefined;
  /** Who waits for the next answer to a progress request. */
  readonly #awaitingProgress = new Set<() => void>();
  #eventRevision = 0;
  #fail: (error: unknown) => void = () => {};
  #isOver = false;

  constructor(open: OpenStream<IWatchRequest, IWatchResponse>, cluster: ClusterIdentity, hooks: WatchHooks<W>) {
    this.open = open;
    this.#cluster = cluster;
    this.#hooks = hooks;
    this.ended = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.ended.catch(() => {});
    open.stream.on('data', (response: IWatchResponse) => this.#receive(response));
    open.stream.on('error', (error) => this.end(etcdError(`${open.member} watch`, error)));
    open.stream.on('end', () => this.end(this.#error(status.UNAVAILABLE, 'the member ended the watch stream')));
  }

  /** The stream showed another cluster, or a restored one; to be confirmed by a read. */
  get suspectedReset(): ClusterReset | undefined {
    return this.#suspectedReset;
  }

  /** Milliseconds of `clock.now()`. */
  get lastMessageAt(): number {
    return this.#lastMessageAt;
  }

  /** True once the member has sent a message. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** The last answer to a progress request; undefined before the first. */
  get progress(): WatchProgress | undefined {
    return this.#progress;
  }

  /** The highest revision that an event has shown. */
  get eventRevision(): number {
    return this.#eventRevision;
  }

  /** How many watchers the member has not confirmed yet. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Starts to watch from the revision at which `watched` resumes. */
  add(watched: W): void {
    const watcher: Watcher<W> = { watched, parts: [], removed: false };
    this.#pending.push(watcher);
    this.#byWatched.set(watched, watcher);
    const { key, end } = watched.range;
    const start_revision = watched.resume();
    this.#write({ create_request: { key, range_end: end, start_revision, fragment: true } });
  }

  /** Stops watching; events that are still under way are dropped. */
  remove(watched: W): void {
    const watcher = this.#byWatched.get(watched);
    if (watcher === undefined) return;
    this.#byWatched.delete(watched);
    watcher.removed = true;
    const id = this.#ids.get(watcher);
    if (id === undefined) return;
    this.#forget(watcher, id);
    this.#write({ cancel_request: { watch_id: id } });
  }

  /** Asks the member how far all watchers of this stream are; it answers once they are in step. */
  requestProgress(): void {
    this.#write({ progress_request: {} });
  }

  /** Waits for the next answer to a progress request, `limitMs`, or the signal, whatever comes first. */
  async nextProgress(limitMs: number, signal: AbortSignal): Promise<void> {
    const either = linkAbort(signal);
    const wake = (): void => either.abort();
    this.#awaitingProgress.add(wake);
    await sleep(limitMs, either.signal);
    this.#awaitingProgress.delete(wake);
    either.release();
  }

  /** Ends the stream; the first reason counts. */
  end(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#fail(error);
    this.open.stream.cancel();
  }

  #write(request: IWatchRequest): void {
    if (!this.#isOver) this.open.stream.write(request);
  }

  #receive(response: IWatchResponse): void {
    if (this.#isOver) return;
    const seenAt = clock.now();
    this.#lastMessageAt = seenAt;
    const reset = this.#cluster.judge(response.header);
    if (reset !== undefined) {
      this.#suspectedReset = reset;
      this.end(this.#error(status.ABORTED, reset));
      return;
    }
    if (!this.#hasAnswered) {
      this.#hasAnswered = true;
      this.#hooks.onFirstMessage?.();
    }
    if (response.created) this.#created(response);
    else if (response.canceled) this.#canceled(response);
    else if (response.events.length === 0 && !response.fragment) {
      // Not a revision to resume from: some releases answer ahead of events (etcd #15220).
      this.#progress = { revision: Number(response.header.revision), at: seenAt };
      for (const wake of this.#awaitingProgress) wake();
    } else this.#events(response, seenAt);
  }

  #created(response: IWatchResponse): void {
    const watcher = this.#pending.shift();
    if (watcher === undefined) {
      this.end(this.#error(status.INTERNAL, 'the member confirmed a watcher that was not requested'));
    } else if (response.canceled) {
      // A refused watcher comes with an id that may belong to another one.
      this.#refused(watcher, response);
    } else {
      const id = response.watch_id;
      this.#ids.set(watcher, id);
      this.#watchers.set(id, watcher);
      if (!watcher.removed) {
        this.#hooks.onCreated?.();
        return;
      }
      this.#forget(watcher, id);
      this.#write({ cancel_request: { watch_id: id } });
    }
  }

  #canceled(response: IWatchResponse): void {
    const watcher = this.#watchers.get(response.watch_id);
    if (watcher === undefined) return;
    this.#forget(watcher, response.watch_id);
    this.#refused(watcher, response);
  }

  #refused(watcher: Watcher<W>, { cancel_reason: reason, compact_revision: compacted }: IWatchResponse): void {
    if (isStaleToken(reason)) {
      // A stream keeps the token it was opened with.
      this.end(this.#error(status.UNAUTHENTICATED, reason));
      return;
    }
    if (watcher.removed) return;
    this.#byWatched.delete(watcher.watched);
    const [end, error] = this.#whyRefused(reason, compacted);
    this.#hooks.onWatcherEnd(watcher.watched, end, error);
  }

  #whyRefused(reason: string, compacted: string): [WatcherEnd, EtcdError] {
    if (Number(compacted) > 0 || isCompacted(reason)) {
      return ['compacted', this.#error(status.OUT_OF_RANGE, `compacted at revision ${compacted}`)];
    }
    if (isDenied(reason)) return ['denied', this.#error(status.PERMISSION_DENIED, reason)];
    return ['canceled', this.#error(status.ABORTED, reason || 'the member cancelled the watch')];
  }

  #events(response: IWatchResponse, seenAt: number): void {
    const watcher = this.#watchers.get(response.watch_id);
    if (watcher === undefined) return;
    const events = watcher.parts.length === 0 ? response.events : [...watcher.parts, ...response.events];
    watcher.parts = response.fragment ? events : [];
    if (response.fragment) return;
    const { watched } = watcher;
    try {
      watchEvents.inc(watched.applyEvents(events, seenAt));
    } catch (error) {
      this.remove(watched);
      this.#hooks.onWatcherEnd(watched, error instanceof OutOfOrder ? 'disorder' : 'handler', error);
    }
    const last = Number(events.at(-1)?.kv.mod_revision ?? 0);
    this.#eventRevision = Math.max(this.#eventRevision, last);
    this.#cluster.note(last);
  }

  #forget(watcher: Watcher<W>, id: string): void {
    this.#ids.delete(watcher);
    this.#watchers.delete(id);
  }

  #error(code: status, details: string): EtcdError {
    return new EtcdError(`${this.open.member} watch`, code, details);
  }
}
