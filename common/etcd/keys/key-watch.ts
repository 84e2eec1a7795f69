import type { IEvent, IWatchRequest, IWatchResponse } from 'etcd3/lib/rpc.js';
import { supervise } from '../../async/supervise.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { keyRange } from '../client/key-value.ts';
import { watchStreamEnds } from '../client/metrics.ts';
import { ClusterIdentity } from '../watch/cluster-identity.ts';
import { type LivenessLimits, watchLiveness } from '../watch/liveness.ts';
import { type Watched, WatchStream } from '../watch/watch-stream.ts';
import { fromEvent, type KeyVersion } from './key-operations.ts';

/**
 * Watches single keys, all over one stream: what others do to the other keys of their prefixes costs nothing here, which
 * on a thousand hosts is nearly everything.
 */
export interface KeyWatch {
  /** From now on tells of `key` what happens from `revision` on; does nothing when that is watched already. */
  add(key: string, revision: number): void;
  /** No longer. */
  remove(key: string): void;
  /** The member that is watched; null while there is none, and what happens goes unseen. */
  readonly member: string | null;
}

export interface KeyWatchDeps {
  readonly log: Log;
  /** Reads all keys, because what happened before the stream began is not told. @returns from when to watch each */
  readonly catchUp: (signal: AbortSignal) => Promise<ReadonlyMap<string, number>>;
  readonly onSighting: (key: string, sighting: KeyVersion) => void;
}

interface WatchedKey extends Watched {
  readonly key: string;
}

/**
 * Easier on etcd than where a watch is all there is: a member that froze is noticed by the connection's own pings within
 * 13 s, and until then, and whatever else is missed, is found by reading.
 */
const limits: LivenessLimits = { firstAnswer: 3_000, idle: 30_000, answer: 2_000, tick: 1_000 };

/** Opens its stream when there is a first key; opens another one when it ends, until `signal` aborts. */
export function createKeyWatch(client: EtcdClient, deps: KeyWatchDeps, signal: AbortSignal): KeyWatch {
  const { log, catchUp, onSighting } = deps;
  const watched = new Map<string, WatchedKey>();
  let started = false;
  let stream: WatchStream<WatchedKey> | undefined;
  let caughtUp = false;
  let avoid: string | undefined;

  const add = (key: string, revision: number): void => {
    if (!started) start();
    if (stream === undefined || watched.has(key)) return;
    const applyEvents = (events: readonly IEvent[]): number => {
      for (const event of events) onSighting(key, { revision: Number(event.kv.mod_revision), known: fromEvent(event) });
      return events.length;
    };
    const entry = { key, range: keyRange(key), resume: () => Math.max(1, revision), applyEvents };
    watched.set(key, entry);
    stream.add(entry);
  };

  const runStream = async (): Promise<void> => {
    const over = new AbortController();
    try {
      const open = await client.open<IWatchRequest, IWatchResponse>((rpc) => rpc.watch.watch(), { avoid }, signal);
      const current = new WatchStream<WatchedKey>(open, new ClusterIdentity(), {
        onWatcherEnd({ key }, why, error) {
          watched.delete(key);
          log.debug('etcd key can no longer be watched', { key, why, reason: reasonOf(error) });
          // Compacted between the reading and the watching: reading again helps. A refusal stays one: reading has to do.
          if (why === 'compacted') current.end(error);
        },
      });
      stream = current;
      watchLiveness(current, { limits }, over.signal);
      const caught = catchUp(over.signal).then((from) => {
        if (stream !== current) return;
        for (const [key, revision] of from) add(key, revision);
        caughtUp = true;
        avoid = undefined;
      });
      await Promise.all([current.ended, caught]);
    } catch (error) {
      if (signal.aborted) return;
      watchStreamEnds.inc({ reason: stream === undefined ? 'open' : 'stream' });
      avoid = stream?.open.member;
      stream?.end(error);
      stream?.open.failed(error);
      throw error;
    } finally {
      over.abort();
      stream = undefined;
      caughtUp = false;
      watched.clear();
    }
  };

  const start = (): void => {
    started = true;
    signal.addEventListener('abort', () => stream?.end(signal.reason), { once: true });
    const options = { what: 'etcd watch of own keys', log, backoff: { min: 50, max: 5_000 }, healthyAfter: 10_000 };
    void supervise(runStream, options, signal);
  };
  return {
    add,
    remove(key) {
      const entry = watched.get(key);
      if (entry === undefined) return;
      watched.delete(key);
      stream?.remove(entry);
    },
    get member() {
      return caughtUp ? (stream?.open.member ?? null) : null;
    },
  };
}
