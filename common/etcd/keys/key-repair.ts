import { clock } from '../../async/clock.ts';
import { jittered, sleep } from '../../async/supervise.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { losesEvents } from '../client/version.ts';
import { type KeyVersion, readKeys } from './key-operations.ts';
import type { KeyTask, KeyTasks } from './key-reconciler.ts';
import { createKeyWatch } from './key-watch.ts';
import { keyRepairs } from './metrics.ts';

/** Finds what others do to our keys, and has them put right: deleted, overwritten, or a write of ours that came late. */
export interface KeyCare {
  /** To be called when nothing runs for a key any more. */
  idle(task: KeyTask): void;
  /** The member over which the keys are watched; null while they are only read now and then. */
  readonly watching: string | null;
}

export interface KeyCareOptions {
  /** How often the keys are read while they are not watched, milliseconds; while they are, so many times more rarely. */
  readonly verifyEvery: number;
}

/** While a watch works, reading is only there for what etcd itself may lose. */
const rarely = 6;
/** A key that nobody touched for so long is put right at once; one that is taken from us again and again is not, milliseconds. */
const calm = 10_000;

interface Repairs {
  count: number;
  at: number;
  waiting: boolean;
}

/** Watches and reads until `signal` aborts. */
export function careForKeys(
  client: EtcdClient,
  options: KeyCareOptions,
  deps: { readonly log: Log; readonly tasks: KeyTasks },
  signal: AbortSignal,
): KeyCare {
  const { verifyEvery } = options;
  const { log, tasks } = deps;
  const repairs = new WeakMap<KeyTask, Repairs>();
  /** What happened to a key while it was being worked on. */
  const unseenVersions = new Map<string, KeyVersion>();
  const wrong = new Set<string>();
  let verifiedAt = clock.now();

  const report = (key: string): void => {
    const first = wrong.size === 0;
    wrong.add(key);
    if (!first) return;
    // A lost lease takes all keys with it, one after the other: one line for all of them.
    clock
      .setTimeout(() => {
        log.warn('etcd keys were deleted or changed, putting them right', { keys: wrong.size, first: key });
        wrong.clear();
      }, 200)
      .unref();
  };

  const repair = async (task: KeyTask): Promise<void> => {
    const known = repairs.get(task) ?? { count: 0, at: Number.NEGATIVE_INFINITY, waiting: false };
    repairs.set(task, known);
    if (known.waiting) return;
    if (!task.settled) {
      tasks.nudge(task);
      return;
    }
    task.settled = false;
    const now = clock.now();
    known.count = now - known.at < calm ? known.count + 1 : 0;
    known.at = now;
    if (known.count > 0) {
      known.waiting = true;
      await sleep(jittered({ min: 100, max: verifyEvery }, known.count), signal);
      known.waiting = false;
    }
    if (!signal.aborted) tasks.nudge(task);
  };

  const see = (task: KeyTask, { revision, known }: KeyVersion): void => {
    // Our own write, or something older.
    if (task.wanted.kind !== 'set' || revision <= Number(task.known?.modRevision ?? 0)) return;
    if (task.settled) {
      keyRepairs.inc({ noticed: 'watch' });
      report(task.key);
    }
    task.known = known;
    void repair(task);
  };

  /** Reads all keys that nobody works on. @returns the revision at which each was read */
  const verify = async (abort: AbortSignal): Promise<ReadonlyMap<string, number>> => {
    const idle = [...tasks.all.values()].filter((task) => !task.running);
    const before = new Map(idle.map((task) => [task.key, task.known]));
    const found = await readKeys(client, [...before.keys()], abort);
    const revisions = new Map<string, number>();
    for (const [key, { revision, known }] of found) {
      const task = tasks.all.get(key);
      if (task?.wanted.kind === 'set') revisions.set(key, revision);
      // Written meanwhile: what was read may be older than what we know.
      if (task === undefined || task.running || task.known !== before.get(key)) continue;
      if (task.settled && task.known?.modRevision === known.modRevision) continue;
      if (task.settled) {
        keyRepairs.inc({ noticed: 'read' });
        report(key);
      }
      task.known = known;
      void repair(task);
    }
    verifiedAt = clock.now();
    return revisions;
  };

  const watch = createKeyWatch(
    client,
    {
      log,
      catchUp: verify,
      onSighting(key, sighting) {
        const task = tasks.all.get(key);
        if (task?.running) unseenVersions.set(key, sighting);
        else if (task !== undefined) see(task, sighting);
      },
    },
    signal,
  );

  const verifyLoop = async (): Promise<void> => {
    while (!signal.aborted) {
      // Not all processes of a fleet at one instant.
      await sleep(verifyEvery * (1 - clock.random() * 0.2), signal);
      if (signal.aborted || tasks.all.size === 0) continue;
      const trusted = watch.member !== null && !losesEvents(client.status.version ?? undefined);
      if (trusted && clock.now() - verifiedAt < rarely * verifyEvery) continue;
      try {
        await verify(signal);
      } catch (error) {
        log.debug('etcd keys could not be verified', { reason: reasonOf(error) });
      }
    }
  };
  void verifyLoop();

  return {
    idle(task) {
      const revision = Number(task.known?.modRevision ?? 0);
      if (task.wanted.kind === 'unset') watch.remove(task.key);
      else if (revision > 0) watch.add(task.key, revision);
      const sighting = unseenVersions.get(task.key);
      unseenVersions.delete(task.key);
      if (sighting !== undefined) see(task, sighting);
    },
    get watching() {
      return watch.member;
    },
  };
}
