import type { IEvent, IWatchRequest, IWatchResponse } from 'etcd3/lib/rpc.js';
import { onAbort } from '../async/abort.ts';
import { supervise } from '../async/supervise.ts';
import { type Log, reasonOf } from '../daemon/log.ts';
import type { EtcdClient } from '../etcd/client/client.ts';
import { type Entry, isPut, type KeyRange, keyText, prefixRange, toEntry } from '../etcd/client/key-value.ts';
import { ClusterIdentity } from '../etcd/watch/cluster-identity.ts';
import { Liveness } from '../etcd/watch/liveness.ts';
import { type Watched, type WatcherEnd, WatchStream } from '../etcd/watch/watch-stream.ts';
import { answersBackoff, answersHealthyMs, answersLiveness } from './timing.ts';

/** A key that has changed, with what it holds now; without an entry it was deleted. */
export interface ChangedKey {
  readonly key: string;
  readonly entry?: Entry | undefined;
}

/** What {@link AnswersWatch} needs. */
export interface AnswersWatchDeps {
  readonly log: Log;
  /** Every prefix is watched from now on. What was written before, nothing has shown: it has to be read. */
  readonly onWatching: () => void;
}

/** The keys below a prefix on the stream. */
class WatchedPrefix implements Watched {
  readonly range: KeyRange;
  readonly #onChange: (changed: readonly ChangedKey[]) => void;

  constructor(prefix: string, onChange: (changed: readonly ChangedKey[]) => void) {
    this.range = prefixRange(prefix);
    this.#onChange = onChange;
  }

  /** From now on. etcd holds back the events of a watch from an earlier revision for up to 100 ms. */
  resume(): number {
    return 0;
  }

  applyEvents(events: readonly IEvent[]): number {
    const changed = events.map((event) => ({
      key: keyText(event.kv.key),
      entry: isPut(event) ? toEntry(event.kv) : undefined,
    }));
    this.#onChange(changed);
    return events.length;
  }
}

/**
 * Watches prefixes from now on, all over one stream. A hint and not a copy: it says when to read, and what it shows between two
 * reads is for people. Opens another stream when one ends, until `signal` aborts.
 */
export class AnswersWatch {
  readonly #client: EtcdClient;
  readonly #deps: AnswersWatchDeps;
  readonly #signal: AbortSignal;
  readonly #prefixes = new Set<WatchedPrefix>();
  #stream: WatchStream<WatchedPrefix> | undefined;
  #avoid: string | undefined;
  #reason: string | null = null;

  constructor(client: EtcdClient, deps: AnswersWatchDeps, signal: AbortSignal) {
    this.#client = client;
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Why nothing is watched; null while all is well. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Every prefix is watched, as far as is known. */
  get isWatching(): boolean {
    return this.#stream !== undefined && this.#stream.pending === 0;
  }

  /** Opens the stream; to be called once. */
  start(): void {
    onAbort(this.#signal, (reason) => this.#stream?.end(reason));
    const options = {
      what: 'etcd watch of answers',
      log: this.#deps.log,
      backoff: answersBackoff,
      healthyAfterMs: answersHealthyMs,
      onReason: (reason: string | null) => {
        this.#reason = reason;
      },
    };
    void supervise(() => this.#watchOnce(), options, this.#signal);
  }

  /** Watches the keys below a prefix until `signal` aborts. */
  follow(prefix: string, onChange: (changed: readonly ChangedKey[]) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    const watched = new WatchedPrefix(prefix, onChange);
    this.#prefixes.add(watched);
    this.#stream?.add(watched);
    onAbort(signal, () => {
      this.#prefixes.delete(watched);
      this.#stream?.remove(watched);
    });
  }

  /** Opens one stream and watches over it until it ends. */
  async #watchOnce(): Promise<void> {
    const over = new AbortController();
    try {
      const open = await this.#client.open<IWatchRequest, IWatchResponse>(
        (rpc) => rpc.watch.watch(),
        { avoid: this.#avoid },
        this.#signal,
      );
      const stream = new WatchStream<WatchedPrefix>(open, new ClusterIdentity(), {
        onCreated: () => this.#created(stream),
        onWatcherEnd: (watched, end, error) => this.#ended(stream, watched, { end, error }),
      });
      this.#stream = stream;
      new Liveness(stream, answersLiveness).start(over.signal);
      for (const watched of this.#prefixes) stream.add(watched);
      await stream.ended;
    } catch (error) {
      if (this.#signal.aborted) return;
      this.#avoid = this.#stream?.open.member;
      this.#stream?.end(error);
      this.#stream?.open.failed(error);
      throw error;
    } finally {
      over.abort();
      this.#stream = undefined;
    }
  }

  #created(stream: WatchStream<WatchedPrefix>): void {
    if (stream.pending > 0) return;
    this.#reason = null;
    this.#deps.onWatching();
  }

  #ended(
    stream: WatchStream<WatchedPrefix>,
    watched: WatchedPrefix,
    { end, error }: { readonly end: WatcherEnd; readonly error: unknown },
  ): void {
    this.#deps.log.debug('answers can no longer be watched', { why: end, reason: reasonOf(error) });
    // What may not be read, the next read says.
    if (end === 'denied') this.#prefixes.delete(watched);
    else stream.end(error);
  }
}
