import type { IEvent, IWatchRequest, IWatchResponse } from 'etcd3/lib/rpc.js';
import { onAbort } from '../../async/abort.ts';
import { supervise } from '../../async/supervise.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { type KeyRange, keyRange } from '../client/key-value.ts';
import { watchStreamEnds } from '../client/metrics.ts';
import { ClusterIdentity } from '../watch/cluster-identity.ts';
import { Liveness } from '../watch/liveness.ts';
import { type Watched, type WatcherEnd, WatchStream } from '../watch/watch-stream.ts';
import { versionOf } from './key-operations.ts';
import type { KeyVersion } from './owned-key.ts';
import { keyWatchBackoff, keyWatchHealthyMs, keyWatchLiveness } from './timing.ts';

/** What a key watch needs, and its callbacks. */
export interface KeyWatchDeps {
  readonly log: Log;
  /** Reads all keys, because a stream does not tell what happened before it began. @returns from which revision to watch each */
  readonly catchUp: (signal: AbortSignal) => Promise<ReadonlyMap<string, number>>;
  readonly onVersion: (key: string, version: KeyVersion) => void;
}

/** One key on the stream. */
class WatchedKey implements Watched {
  readonly key: string;
  readonly range: KeyRange;
  readonly #revision: number;
  readonly #onVersion: KeyWatchDeps['onVersion'];

  constructor(key: string, revision: number, onVersion: KeyWatchDeps['onVersion']) {
    this.key = key;
    this.range = keyRange(key);
    this.#revision = revision;
    this.#onVersion = onVersion;
  }

  resume(): number {
    return Math.max(1, this.#revision);
  }

  applyEvents(events: readonly IEvent[]): number {
    for (const event of events) this.#onVersion(this.key, versionOf(event));
    return events.length;
  }
}

/**
 * Watches single keys, all over one stream: what others do to the other keys of their prefixes costs nothing here, and on
 * a thousand hosts nearly all changes are of that kind. Opens its stream when there is a first key, and another one when
 * that ends, until `signal` aborts.
 */
export class KeyWatch {
  readonly #client: EtcdClient;
  readonly #deps: KeyWatchDeps;
  readonly #signal: AbortSignal;
  readonly #watched = new Map<string, WatchedKey>();
  #started = false;
  #stream: WatchStream<WatchedKey> | undefined;
  #caughtUp = false;
  #avoid: string | undefined;

  constructor(client: EtcdClient, deps: KeyWatchDeps, signal: AbortSignal) {
    this.#client = client;
    this.#deps = deps;
    this.#signal = signal;
  }

  /** The member that is watched; null while there is none, and changes go unseen. */
  get member(): string | null {
    return this.#caughtUp ? (this.#stream?.open.member ?? null) : null;
  }

  /** Watches `key` from `revision` on; does nothing when it is watched already. */
  add(key: string, revision: number): void {
    if (!this.#started) this.#start();
    if (this.#stream === undefined || this.#watched.has(key)) return;
    const entry = new WatchedKey(key, revision, this.#deps.onVersion);
    this.#watched.set(key, entry);
    this.#stream.add(entry);
  }

  /** Stops watching `key`. */
  remove(key: string): void {
    const entry = this.#watched.get(key);
    if (entry === undefined) return;
    this.#watched.delete(key);
    this.#stream?.remove(entry);
  }

  #start(): void {
    this.#started = true;
    onAbort(this.#signal, (reason) => this.#stream?.end(reason));
    const options = {
      what: 'etcd watch of own keys',
      log: this.#deps.log,
      backoff: keyWatchBackoff,
      healthyAfterMs: keyWatchHealthyMs,
    };
    void supervise(() => this.#watchOnce(), options, this.#signal);
  }

  /** Opens one stream and watches over it until it ends. */
  async #watchOnce(): Promise<void> {
    const over = new AbortController();
    try {
      const limits = { avoid: this.#avoid };
      const open = await this.#client.open<IWatchRequest, IWatchResponse>(
        (rpc) => rpc.watch.watch(),
        limits,
        this.#signal,
      );
      const stream = new WatchStream<WatchedKey>(open, new ClusterIdentity(), {
        onWatcherEnd: (watched, end, error) => this.#onWatcherEnd(stream, watched, { end, error }),
      });
      this.#stream = stream;
      new Liveness(stream, keyWatchLiveness).start(over.signal);
      await Promise.all([stream.ended, this.#catchUp(stream, over.signal)]);
    } catch (error) {
      if (this.#signal.aborted) return;
      const stream = this.#stream;
      watchStreamEnds.inc({ reason: stream === undefined ? 'open' : 'stream' });
      this.#avoid = stream?.open.member;
      stream?.end(error);
      stream?.open.failed(error);
      throw error;
    } finally {
      over.abort();
      this.#stream = undefined;
      this.#caughtUp = false;
      this.#watched.clear();
    }
  }

  async #catchUp(stream: WatchStream<WatchedKey>, signal: AbortSignal): Promise<void> {
    const revisions = await this.#deps.catchUp(signal);
    if (this.#stream !== stream) return;
    for (const [key, revision] of revisions) this.add(key, revision);
    this.#caughtUp = true;
    this.#avoid = undefined;
  }

  #onWatcherEnd(
    stream: WatchStream<WatchedKey>,
    { key }: WatchedKey,
    { end, error }: { readonly end: WatcherEnd; readonly error: unknown },
  ): void {
    this.#watched.delete(key);
    this.#deps.log.debug('etcd key can no longer be watched', { key, why: end, reason: reasonOf(error) });
    // Compacted between the read and the watch: another read helps. A refusal stays one, and reading has to do.
    if (end === 'compacted') stream.end(error);
  }
}
