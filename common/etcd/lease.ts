import { setMaxListeners } from 'node:events';
import { type Log, reasonOf } from '../log.ts';
import { jittered, sleep } from '../supervise.ts';
import type { EtcdClient } from './client.ts';
import { EtcdError } from './errors.ts';
import { KeyConflict, type LeasedKey, readKeys, step, type Wanted } from './leasedkey.ts';
import { hex, holdLease, isLeaseNotFound } from './leaseholder.ts';
import { createLimit } from './limit.ts';

/** Keys that exist in etcd for as long as this process wants them to and lives, all under one lease. */
export interface LeasedKeys {
  /**
   * From now on `key` shall hold `value` under our lease, whatever happens to the lease or the connection. Replaces an
   * earlier value. Returns at once. What a predecessor left under the key is taken over without a gap.
   */
  set(key: string, value: string): void;
  /**
   * From now on `key` shall not exist: writes `farewell` first (watchers see an orderly withdrawal), then deletes; also
   * removes what a previous process of ours left there. Returns at once.
   */
  unset(key: string, farewell?: string): void;
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
  readonly ttl: number;
  /** How often our keys are read to see whether they are as wanted; milliseconds, default 10 s or the TTL if that is more. */
  readonly verifyEvery?: number;
  /**
   * Told, once for each key and before it is written, what a predecessor left there. It may call {@link LeasedKeys.set}
   * with something else.
   */
  readonly onFound?: (key: string, value: string) => void;
}

export interface CloseOptions {
  /** Milliseconds. */
  readonly timeout: number;
  readonly farewell?: (key: string, value: string) => string | undefined;
  readonly keep?: boolean;
}

export interface LeasedKeysStatus {
  /** In hexadecimal, as `etcdctl lease` prints it. */
  readonly leaseId: string | null;
  /** Granted and kept alive. */
  readonly held: boolean;
  readonly lastError: string | null;
  readonly keys: ReadonlyMap<string, KeyStatus>;
}

export interface KeyStatus {
  readonly wanted: 'set' | 'unset';
  readonly settled: boolean;
  /** Why it is not settled. */
  readonly reason: string | null;
}

/** A key with what runs for it. */
interface Task extends LeasedKey {
  settled: boolean;
  reason: string | null;
  running: boolean;
  /** What was there before us has been looked at. */
  looked: boolean;
  /** Ends the pause between two tries. */
  wake: AbortController;
}

const concurrentWrites = 16;

/** Starts to hold a lease of `ttl` seconds and the keys under it. All stops when `signal` aborts; see {@link LeasedKeys.close}. */
export function createLeasedKeys(
  client: EtcdClient,
  options: LeasedKeysOptions,
  deps: { readonly log: Log },
  signal: AbortSignal,
): LeasedKeys {
  const { ttl, verifyEvery = Math.max(10_000, ttl * 1_000), onFound } = options;
  const { log } = deps;
  if (!(Number.isInteger(ttl) && ttl > 0)) throw new Error(`ttl ${ttl}: must be a whole number of seconds above 0`);
  const stopped = new AbortController();
  // Each write under way listens to it.
  setMaxListeners(0, stopped.signal);
  const stop = (): void => {
    stopped.abort();
    for (const task of tasks.values()) task.wake.abort();
  };
  const tasks = new Map<string, Task>();
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });

  const waiting = new Set<() => void>();
  const limit = createLimit(concurrentWrites);
  let closing = false;
  const holder = holdLease(client, { ttl }, { log, onGranted: () => wakeAll() }, stopped.signal);

  const allSettled = (): boolean => [...tasks.values()].every((task) => task.settled);

  const announceSettled = (): void => {
    if (!allSettled()) return;
    holder.revokeOld();
    for (const resolve of waiting) resolve();
  };

  /** Works on one key until it is as wanted; waits for a lease, and after failures. */
  const run = async (task: Task): Promise<void> => {
    if (task.running) return;
    task.running = true;
    let failures = 0;
    for (let steps = 1; !stopped.signal.aborted; steps += 1) {
      const lease = holder.id;
      try {
        const { wanted } = task;
        const done = await limit(() => step(client, task, holder, stopped.signal));
        look(task);
        if (task.wanted !== wanted || (done && wanted.kind === 'set' && holder.id !== lease)) continue;
        if (done) {
          if (task.reason !== null) log.info('etcd key is as wanted again', { key: task.key });
          task.settled = true;
          task.reason = null;
          break;
        }
        if (wanted.kind === 'set' && holder.id === null) {
          task.reason ??= 'waiting for a lease';
          break;
        }
        // Somebody keeps changing the key between our read and our write.
        if (steps % 10 === 0) await sleep(jittered({ min: 100, max: 1_000 }, steps / 10), stopped.signal);
      } catch (error) {
        if (stopped.signal.aborted) break;
        complain(task, error);
        // Looked at again by the verification, not before: two processes must not fight over a key.
        if (error instanceof KeyConflict) break;
        if (error instanceof EtcdError && isLeaseNotFound(error) && lease !== null) holder.lost(lease);
        task.wake = new AbortController();
        await sleep(jittered({ min: 50, max: 2_000 }, failures), task.wake.signal);
        failures += 1;
      }
    }
    task.running = false;
    if (!task.settled) return;
    if (task.wanted.kind === 'unset' && task.ghost !== null && task.ghost === holder.id && !closing) holder.rotate();
    if (task.wanted.kind === 'unset') task.ghost = null;
    announceSettled();
  };

  const look = (task: Task): void => {
    if (task.looked || task.known === undefined) return;
    task.looked = true;
    const { modRevision, value } = task.known;
    if (!task.claimed && modRevision !== '0') onFound?.(task.key, value);
  };

  const complain = (task: Task, error: unknown): void => {
    const reason = reasonOf(error);
    if (task.reason === reason) return;
    if (error instanceof KeyConflict) log.error('etcd key belongs to another process', { key: task.key, reason });
    else if (task.reason === null) log.warn('etcd key could not be written, retrying', { key: task.key, reason });
    task.reason = reason;
  };

  const nudge = (task: Task): void => {
    task.settled = false;
    task.wake.abort();
    void run(task);
  };

  /** Everything is to be put under a new lease. */
  const wakeAll = (): void => {
    for (const task of tasks.values()) if (task.wanted.kind === 'set' || !task.settled) nudge(task);
  };

  const want = (key: string, wanted: Wanted): void => {
    if (closing || stopped.signal.aborted) return;
    assign(key, wanted);
  };

  const assign = (key: string, wanted: Wanted): void => {
    let task = tasks.get(key);
    if (task === undefined) {
      const wake = new AbortController();
      const fresh = { known: undefined, claimed: false, doubtful: false, ghost: null };
      task = { key, wanted, ...fresh, settled: false, reason: null, running: false, looked: false, wake };
      tasks.set(key, task);
    } else if (same(task.wanted, wanted)) return;
    task.wanted = wanted;
    nudge(task);
  };

  /** Finds what others did to our keys: deleted, overwritten, or a write of ours that came late. */
  const verify = async (): Promise<void> => {
    const before = new Map([...tasks.values()].filter((task) => !task.running).map((task) => [task.key, task.known]));
    const found = await readKeys(client, [...before.keys()], stopped.signal);
    for (const [key, known] of found) {
      const task = tasks.get(key);
      // Written meanwhile: what was read may be older than what we know.
      if (task === undefined || task.running || task.known !== before.get(key)) continue;
      if (task.settled && task.known?.modRevision === known.modRevision) continue;
      if (task.settled) log.warn('etcd key was changed by somebody else', { key });
      task.known = known;
      nudge(task);
    }
  };

  const verifyLoop = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      // Not all processes of a fleet at one instant.
      await sleep(verifyEvery * (1 - Math.random() * 0.2), stopped.signal);
      if (stopped.signal.aborted || closing || tasks.size === 0) continue;
      try {
        await verify();
      } catch (error) {
        log.debug('etcd keys could not be verified', { reason: reasonOf(error) });
      }
    }
  };
  void verifyLoop();

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
      else if (allSettled()) resolve();
      else {
        waiting.add(done);
        abort.addEventListener('abort', onAbort, { once: true });
      }
    });

  return {
    set: (key, value) => want(key, { kind: 'set', value }),
    unset: (key, farewell) => want(key, { kind: 'unset', ...(farewell !== undefined && { farewell }) }),
    get status() {
      const keys = new Map([...tasks.values()].map((task) => [task.key, statusOf(task)]));
      const { id, held, lastError } = holder;
      return { leaseId: id === null ? null : hex(id), held, lastError, keys };
    },
    keyStatus(key) {
      const task = tasks.get(key);
      return task && statusOf(task);
    },
    settled,
    async close({ timeout, farewell, keep = false }) {
      if (closing) return;
      closing = true;
      const end = performance.now() + timeout;
      try {
        if (keep || stopped.signal.aborted) return;
        for (const { key, wanted } of [...tasks.values()]) {
          if (wanted.kind !== 'set') continue;
          const last = farewell?.(key, wanted.value);
          assign(key, { kind: 'unset', ...(last !== undefined && { farewell: last }) });
        }
        // Some time is kept for the revocation, which removes what is left.
        await settled(AbortSignal.timeout(Math.max(1, Math.round(timeout * 0.7)))).catch(() => {});
        await holder.revokeAll(Math.max(1, end - performance.now()));
      } catch (error) {
        log.warn('etcd keys could not be withdrawn, they go when the lease expires', { reason: reasonOf(error) });
      } finally {
        stop();
      }
    },
  };
}

function statusOf({ wanted, settled, reason }: Task): KeyStatus {
  return { wanted: wanted.kind, settled, reason };
}

function same(a: Wanted, b: Wanted): boolean {
  if (a.kind === 'set') return b.kind === 'set' && a.value === b.value;
  return b.kind === 'unset' && a.farewell === b.farewell;
}
