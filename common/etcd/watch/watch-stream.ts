import { status } from '@grpc/grpc-js';
import type { IEvent, IWatchRequest, IWatchResponse } from 'etcd3/lib/rpc.js';
import { clock } from '../../async/clock.ts';
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
  /** The revision to watch from. */
  resume(): number;
  /**
   * Takes events. @returns how many were new
   * @throws what is wrong with them, or with who handles them: the watcher ends
   */
  applyEvents(events: readonly IEvent[], seenAt: number): number;
}

/** What a stream tells its owner. */
export interface WatchHooks<W extends Watched> {
  onWatcherEnd(watched: W, end: WatcherEnd, error: unknown): void;
}

interface Watcher<W extends Watched> {
  readonly watched: W;
  /** The parts of one response that have come so far. */
  parts: IEvent[];
  removed: boolean;
}

/** One watch stream with many watchers; applies what comes in the stream's own callback. */
export class WatchStream<W extends Watched> {
  readonly open: OpenStream<IWatchRequest, IWatchResponse>;
  /** What the stream showed: another cluster answers. To be confirmed. */
  upheaval: ClusterReset | undefined;
  /** Rejects when the stream is over; never resolves. */
  readonly ended: Promise<never>;
  readonly openedAt = clock.now();
  lastMessageAt = clock.now();
  /** The last answer to a progress request. */
  progress: { readonly revision: number; readonly at: number } | undefined;
  /** The highest revision an event has shown. */
  eventRevision = 0;
  readonly #cluster: ClusterIdentity;
  readonly #hooks: WatchHooks<W>;
  /** In the order of their requests, which is the order of the answers. */
  readonly #pending: Watcher<W>[] = [];
  readonly #watchers = new Map<string, Watcher<W>>();
  readonly #byWatched = new Map<W, Watcher<W>>();
  readonly #ids = new Map<Watcher<W>, string>();
  #fail: (error: unknown) => void = () => {};
  #over = false;

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

  /** How many watchers the member has not confirmed yet. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Starts to watch from where it is. */
  add(watched: W): void {
    const watcher: Watcher<W> = { watched, parts: [], removed: false };
    this.#pending.push(watcher);
    this.#byWatched.set(watched, watcher);
    const { key, end } = watched.range;
    const start_revision = watched.resume();
    this.#write({ create_request: { key, range_end: end, start_revision, fragment: true } });
  }

  /** Stops watching; what still comes is dropped. */
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

  /** Asks the member how far all watchers of this stream are; it answers when they are in step. */
  requestProgress(): void {
    this.#write({ progress_request: {} });
  }

  /** Ends the stream; the first reason counts. */
  end(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#fail(error);
    this.open.stream.cancel();
  }

  #write(request: IWatchRequest): void {
    if (!this.#over) this.open.stream.write(request);
  }

  #receive(response: IWatchResponse): void {
    if (this.#over) return;
    const seenAt = clock.now();
    this.lastMessageAt = seenAt;
    const upheaval = this.#cluster.judge(response.header);
    if (upheaval !== undefined) {
      this.upheaval = upheaval;
      this.end(this.#error(status.ABORTED, upheaval));
    } else if (response.created) this.#created(response);
    else if (response.canceled) this.#canceled(response);
    else if (response.events.length === 0 && !response.fragment) {
      // How far the member is. Not a place to resume from: some releases answer ahead of events (etcd #15220).
      this.progress = { revision: Number(response.header.revision), at: seenAt };
    } else this.#events(response, seenAt);
  }

  #created(response: IWatchResponse): void {
    const watcher = this.#pending.shift();
    if (watcher === undefined) {
      this.end(this.#error(status.INTERNAL, 'a watcher nobody asked for'));
    } else if (response.canceled) {
      // A refused watcher comes with an id that may be another one's.
      this.#refused(watcher, response);
    } else {
      const id = response.watch_id;
      this.#ids.set(watcher, id);
      this.#watchers.set(id, watcher);
      if (!watcher.removed) return;
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
    return ['canceled', this.#error(status.ABORTED, reason || 'the member canceled the watch')];
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
    this.eventRevision = Math.max(this.eventRevision, last);
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
