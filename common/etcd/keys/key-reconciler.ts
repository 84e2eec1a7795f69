import { createLimit } from '../../async/limit.ts';
import { jittered, sleep } from '../../async/supervise.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { EtcdError } from '../client/errors.ts';
import { type DesiredKey, KeyConflict, type LeasedKey, step } from './key-operations.ts';
import { isLeaseNotFound, type LeaseHolder } from './lease.ts';

/** A key with what runs for it. */
export interface KeyTask extends LeasedKey {
  settled: boolean;
  /** Why it is not settled. */
  reason: string | null;
  running: boolean;
  /** What was there before us has been looked at. */
  looked: boolean;
  /** Nobody asks for it any more once it is as wanted. */
  forget: boolean;
  /** Ends the pause between two tries. */
  wake: AbortController;
}

export interface KeyTasksDeps {
  readonly log: Log;
  readonly holder: LeaseHolder;
  /** Told, once for each key and before it is written, what a predecessor left there. */
  readonly onFound: ((key: string, value: string) => void) | undefined;
  /** Nothing runs for this key any more: it is as wanted, or has to wait. */
  readonly onIdle: (task: KeyTask) => void;
  /** Whether everything is being withdrawn for good. */
  readonly closing: () => boolean;
}

/** Works on many keys at once, until each is as wanted. */
export interface KeyTasks {
  readonly all: ReadonlyMap<string, KeyTask>;
  /** How the key shall be from now on; works on it if that differs. With `forget`, it is known no more when it is so. */
  assign(key: string, wanted: DesiredKey, options?: { readonly forget?: boolean }): void;
  /** Works on a key again. */
  nudge(task: KeyTask): void;
  /** Everything is to be put under a new lease. */
  nudgeAll(): void;
  allSettled(): boolean;
}

const concurrentWrites = 16;

/** Starts with no keys. All work stops when `signal` aborts. */
export function createKeyTasks(client: EtcdClient, deps: KeyTasksDeps, signal: AbortSignal): KeyTasks {
  const { log, holder, onFound, onIdle, closing } = deps;
  const tasks = new Map<string, KeyTask>();
  const limit = createLimit(concurrentWrites);
  const stop = (): void => {
    for (const task of tasks.values()) task.wake.abort();
  };
  signal.addEventListener('abort', stop, { once: true });

  /** Works on one key until it is as wanted; waits for a lease, and after failures. */
  const run = async (task: KeyTask): Promise<void> => {
    if (task.running) return;
    task.running = true;
    let failures = 0;
    for (let steps = 1; !signal.aborted; steps += 1) {
      const lease = holder.id;
      try {
        const { wanted } = task;
        const done = await limit(() => step(client, task, holder, signal));
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
        if (steps % 10 === 0) await sleep(jittered({ min: 100, max: 1_000 }, steps / 10), signal);
      } catch (error) {
        if (signal.aborted) break;
        if (error instanceof EtcdError && isLeaseNotFound(error) && lease !== null && holder.id === lease) {
          // Its holder asks for another; then all keys are worked on again.
          holder.lost(lease);
          continue;
        }
        complain(task, error);
        // Looked at again when it changes, not before: two processes must not fight over a key.
        if (error instanceof KeyConflict) break;
        task.wake = new AbortController();
        await sleep(jittered({ min: 50, max: 2_000 }, failures), task.wake.signal);
        failures += 1;
      }
    }
    task.running = false;
    if (task.settled && task.wanted.kind === 'unset') {
      if (task.ghost !== null && task.ghost === holder.id && !closing()) holder.rotate();
      task.ghost = null;
      dropForgotten(task);
    }
    if (!signal.aborted) onIdle(task);
  };

  const dropForgotten = (task: KeyTask): void => {
    if (task.forget && task.settled && tasks.get(task.key) === task) tasks.delete(task.key);
  };

  const look = (task: KeyTask): void => {
    if (task.looked || task.known === undefined) return;
    task.looked = true;
    const { modRevision, value } = task.known;
    if (!task.claimed && modRevision !== '0') onFound?.(task.key, value);
  };

  const complain = (task: KeyTask, error: unknown): void => {
    const reason = reasonOf(error);
    if (task.reason === reason) return;
    if (error instanceof KeyConflict) log.error('etcd key belongs to another process', { key: task.key, reason });
    else if (task.reason === null) log.warn('etcd key could not be written, retrying', { key: task.key, reason });
    task.reason = reason;
  };

  const nudge = (task: KeyTask): void => {
    // Forgotten meanwhile: the key may be another one's by now.
    if (tasks.get(task.key) !== task) return;
    task.settled = false;
    task.wake.abort();
    void run(task);
  };

  return {
    all: tasks,
    assign(key, wanted, { forget = false } = {}) {
      const known = tasks.get(key);
      const task = known ?? newTask(key, wanted);
      tasks.set(key, task);
      task.forget = forget;
      if (known !== undefined && same(known.wanted, wanted)) return dropForgotten(known);
      task.wanted = wanted;
      nudge(task);
    },
    nudge,
    nudgeAll() {
      for (const task of tasks.values()) if (task.wanted.kind === 'set' || !task.settled) nudge(task);
    },
    allSettled: () => [...tasks.values()].every((task) => task.settled),
  };
}

/** Nothing is known of the key, and nothing was done. */
function newTask(key: string, wanted: DesiredKey): KeyTask {
  return {
    key,
    wanted,
    known: undefined,
    claimed: false,
    doubtful: false,
    ghost: null,
    settled: false,
    reason: null,
    running: false,
    looked: false,
    forget: false,
    wake: new AbortController(),
  };
}

function same(a: DesiredKey, b: DesiredKey): boolean {
  if (a.kind === 'set') return b.kind === 'set' && a.value === b.value;
  return b.kind === 'unset' && a.farewell === b.farewell;
}
