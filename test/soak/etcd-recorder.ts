import type { IEvent, IWatchRequest, IWatchResponse } from 'etcd3/lib/rpc.js';
import { onAbort } from '../../common/async/abort.ts';
import { sleep } from '../../common/async/sleep.ts';
import type { EtcdClient } from '../../common/etcd/client/client.ts';
import { hex, isPut, prefixRange } from '../../common/etcd/client/key-value.ts';
import { ClusterIdentity } from '../../common/etcd/watch/cluster-identity.ts';
import { Liveness } from '../../common/etcd/watch/liveness.ts';
import { sharedWatchLiveness } from '../../common/etcd/watch/timing.ts';
import { WatchStream } from '../../common/etcd/watch/watch-stream.ts';
import { parseInstance } from '../../common/instance.ts';
import type { History } from './history.ts';

/** What a key said from one revision on. */
export interface KeyRevision {
  readonly key: string;
  readonly revision: number;
  readonly state: 'up' | 'drain' | 'down' | 'deleted';
}

/** Watches every revision of etcd, without a gap: nothing may compact what it has not seen. */
export class EtcdRecorder {
  readonly #client: EtcdClient;
  readonly #history: History;
  readonly #byKey = new Map<string, KeyRevision[]>();
  readonly #everything = prefixRange('/');
  #revision = 1;

  constructor(client: EtcdClient, history: History) {
    this.#client = client;
    this.#history = history;
  }

  /** The last revision that it has seen. */
  get revision(): number {
    return this.#revision;
  }

  /** All that was ever said under a key, in order. */
  of(key: string): readonly KeyRevision[] {
    return this.#byKey.get(key) ?? [];
  }

  /** What the keys say now. */
  current(): readonly KeyRevision[] {
    return [...this.#byKey.values()].map((revisions) => revisions.at(-1) as KeyRevision);
  }

  /** The revision that etcd has now, read through a quorum; tries until a member answers. */
  async now(signal: AbortSignal): Promise<number> {
    for (;;) {
      try {
        const { header } = await this.#client.call((rpc) => rpc.kv.range({ key: Buffer.from('/') }), {}, signal);
        return Number(header.revision);
      } catch (error) {
        if (signal.aborted) throw error;
      }
    }
  }

  /** Reads a key, each time from another member if there is one that works; tries until a member answers. */
  async read(key: string, signal: AbortSignal): Promise<{ readonly revision: number; readonly upSince: number }> {
    for (;;) {
      try {
        const avoid = this.#client.status.member;
        const answer = await this.#client.call((rpc) => rpc.kv.range({ key: Buffer.from(key) }), { avoid }, signal);
        const kv = answer.kvs[0];
        const isUp = kv !== undefined && parseInstance(kv.value.toString()).state === 'up';
        return { revision: Number(answer.header.revision), upSince: isUp ? Number(kv.mod_revision) : 0 };
      } catch (error) {
        if (signal.aborted) throw error;
      }
    }
  }

  /** Resolves when it has seen this revision. */
  async reached(revision: number, signal: AbortSignal): Promise<void> {
    while (this.#revision < revision && !signal.aborted) await sleep(10, signal);
  }

  /** Watches until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#watchOnce(signal).catch(() => {});
      await sleep(50, signal);
    }
  }

  async #watchOnce(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const open = await this.#client.open<IWatchRequest, IWatchResponse>((rpc) => rpc.watch.watch(), {}, signal);
    const stream = new WatchStream(open, new ClusterIdentity(), {
      onWatcherEnd: (_, why, error) => {
        if (why !== 'canceled') this.#history.violated(`the recorder missed revisions of etcd: ${why}`);
        stream.end(error);
      },
    });
    const release = onAbort(signal, (reason) => stream.end(reason));
    try {
      new Liveness(stream, sharedWatchLiveness).start(over.signal);
      stream.add({
        range: this.#everything,
        resume: () => this.#revision + 1,
        applyEvents: (events) => this.#take(events),
      });
      await stream.ended;
    } catch (error) {
      open.failed(error);
      throw error;
    } finally {
      release();
      over.abort();
    }
  }

  #take(events: readonly IEvent[]): number {
    let taken = 0;
    for (const event of events) {
      const revision = Number(event.kv.mod_revision);
      const key = event.kv.key.toString();
      if (revision < this.#revision) continue;
      taken += 1;
      this.#revision = revision;
      this.#history.count('revisions of etcd');
      if (!key.startsWith('/nerve/')) continue;
      const state = isPut(event) ? parseInstance(event.kv.value.toString()).state : 'deleted';
      const known = this.#byKey.get(key) ?? [];
      this.#byKey.set(key, [...known, { key, revision, state }]);
      const lease = isPut(event) ? ` under lease ${hex(event.kv.lease)}` : '';
      this.#history.note(`etcd ${revision}: ${key} ${state}${lease}`);
    }
    return taken;
  }
}
