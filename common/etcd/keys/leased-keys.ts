import { setMaxListeners } from 'node:events';
import { timeoutSignal } from '../../async/abort.ts';
import { clock } from '../../async/clock.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { hex } from '../client/key-value.ts';
import type { DesiredKey } from './key-operations.ts';
import { createKeyTasks, type KeyTask } from './key-reconciler.ts';
import { careForKeys } from './key-repair.ts';
import { holdLease } from './lease.ts';

/** Keys that exist in etcd for as long as this process wants them to and lives, all under one lease. */
export interface LeasedKeys {
  /**
   * From now on `key` shall hold `value` under our lease, whatever happens to the lease or the connection. Replaces an
   * earlier value. Returns at once. What a predecessor left under the key is taken over without a gap.
   */
  set(key: string, value: string): void;
  /**
   * From now on `key` shall not exist: writes `farewell` first (watchers see an orderly withdrawal), then deletes; also
   * removes what a previous process of ours left there. Returns at once. With `forget`, nothing is kept of the key when
   * that is done, and {@link LeasedKeys.keyStatus} does not know it any more.
   */
  unset(key: string, farewell?: string, options?: { readonly forget?: boolean }): void;
  readonly status: LeasedKeysStatus;
  /** Of one key; undefined when it was never set nor unset. */
  keyStatus(key: string): KeyStatus | undefined;
  /** Resolves when every key is as wanted; rejects when `signal` aborts. */
  settled(signal: AbortSignal): Promise<void>;
  /**
   * Orderly end: withdraws every key that is set, with its farewell first, and revokes the lease, in at most `timeout`
   * ms; then stops. With `keep`, leaves keys and lease to whoever comes next (the lease lives for its TTL).
   */
  close(options: CloseOptions): Promise<void>;
}

export interface LeasedKeysOptions {
  /** Seconds. */
  readonly ttlSeconds: number;
  /**
   * How often our keys are read to see whether they are as wanted, while they are not watched; milliseconds, default 10 s
   * or the TTL if that is more.
   */
  readonly verifyEveryMs?: number;
  /**
   * Told, once for each key and before it is written, what a predecessor left there. It may call {@link LeasedKeys.set}
   * with something else.
   */
  readonly onFound?: (key: string, value: string) => void;
}

export interface CloseOptions {
  /** Milliseconds. */
  readonly timeoutMs: number;
  readonly tombstone?: (key: string, value: string) => string | undefined;
  readonly keep?: boolean;
}

export interface LeasedKeysStatus {
  /** In hexadecimal, as `etcdctl lease` prints it. */
  readonly leaseId: string | null;
  /** Granted and kept alive. */
  readonly held: boolean;
  readonly reason: string | null;
  /** The member over which the keys are watched; null while they are only read now and then. */
  readonly watching: string | null;
  readonly keys: ReadonlyMap<string, KeyStatus>;
}

export interface KeyStatus {
  readonly desired: 'set' | 'unset';
  readonly settled: boolean;
  /** Why it is not settled. */
  readonly reason: string | null;
}

/** Starts to hold a lease of `ttl` seconds and the keys under it. All stops when `signal` aborts; see {@link LeasedKeys.close}. */
export function createLeasedKeys(
  client: EtcdClient,
  options: LeasedKeysOptions,
  deps: { readonly log: Log },
  signal: AbortSignal,
): LeasedKeys {
  const {
    ttlSeconds: ttl,
    verifyEveryMs: verifyEvery = Math.max(10_000, options.ttlSeconds * 1_000),
    onFound,
  } = options;
  const { log } = deps;
  if (!(Number.isInteger(ttl) && ttl > 0)) throw new Error(`ttl ${ttl}: must be a whole number of seconds above 0`);
  const stopped = new AbortController();
  // Each write under way listens to it.
  setMaxListeners(0, stopped.signal);
  if (signal.aborted) stopped.abort();
  else signal.addEventListener('abort', () => stopped.abort(), { once: true });

  const waiting = new Set<() => void>();
  let closing = false;
  const holder = holdLease(client, { ttl }, { log, onGranted: () => tasks.nudgeAll() }, stopped.signal);
  const onIdle = (task: KeyTask): void => {
    care.idle(task);
    if (!tasks.allSettled()) return;
    holder.revokeOld();
    for (const resolve of waiting) resolve();
  };
  const tasks = createKeyTasks(client, { log, holder, onFound, onIdle, closing: () => closing }, stopped.signal);
  const care = careForKeys(client, { verifyEvery }, { log, tasks }, stopped.signal);

  const want = (key: string, wanted: DesiredKey, options?: { readonly forget?: boolean }): void => {
    if (!closing && !stopped.signal.aborted) tasks.assign(key, wanted, options);
  };

  const settled = (abort: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const onAbort = (): void => {
        waiting.delete(done);
        reject(abort.reason);
      };
      const done = (): void => {
        waiting.delete(done);
        abort.removeEventListener('abort', onAbort);
        resolve();
      };
      if (abort.aborted) reject(abort.reason);
      else if (tasks.allSettled()) resolve();
      else {
        waiting.add(done);
        abort.addEventListener('abort', onAbort, { once: true });
      }
    });

  return {
    set: (key, value) => want(key, { kind: 'set', value }),
    unset: (key, farewell, options) =>
      want(key, { kind: 'unset', ...(farewell !== undefined && { farewell }) }, options),
    get status() {
      const keys = new Map([...tasks.all.values()].map((task) => [task.key, statusOf(task)]));
      const { id, held, lastError } = holder;
      return { leaseId: id === null ? null : hex(id), held, reason: lastError, watching: care.watching, keys };
    },
    keyStatus(key) {
      const task = tasks.all.get(key);
      return task && statusOf(task);
    },
    settled,
    async close({ timeoutMs: timeout, tombstone: farewell, keep = false }) {
      if (closing) return;
      closing = true;
      const end = clock.now() + timeout;
      try {
        if (keep || stopped.signal.aborted) return;
        for (const { key, wanted } of [...tasks.all.values()]) {
          if (wanted.kind !== 'set') continue;
          const last = farewell?.(key, wanted.value);
          tasks.assign(key, { kind: 'unset', ...(last !== undefined && { farewell: last }) });
        }
        // Some time is kept for the revocation, which removes what is left.
        await settled(timeoutSignal(Math.max(1, Math.round(timeout * 0.7)))).catch(() => {});
        await holder.revokeAll(Math.max(1, end - clock.now()));
      } catch (error) {
        log.warn('etcd keys could not be withdrawn, they go when the lease expires', { reason: reasonOf(error) });
      } finally {
        stopped.abort();
      }
    },
  };
}

function statusOf({ wanted, settled, reason }: KeyTask): KeyStatus {
  return { desired: wanted.kind, settled, reason };
}
