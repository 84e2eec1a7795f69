import type { WorkerInfo } from './parse.ts';
import type { WorkerRelation } from './server-state.ts';

/** The workers that were seen behind one socket. */
export interface WorkerHistory {
  /** The worker in charge, as it was last read. */
  readonly current: WorkerInfo | undefined;
  /** The last workers that were replaced, oldest first. */
  readonly replaced: readonly WorkerInfo[];
  /** How many workers have been in charge. */
  readonly seen: number;
}

/** The history before the first worker. */
export const noWorkers: WorkerHistory = { current: undefined, replaced: [], seen: 0 };

/** Old workers may finish their connections for hours; by then, there may have been many more. */
const maxReplaced = 100;

/**
 * How a worker relates to those that were seen. `replaced`: during a reload, a connection may lead to the old worker although
 * an earlier one has led to its successor. The old worker is about to finish, and what it runs is no news. Pure.
 */
export function relationOf({ current, replaced }: WorkerHistory, worker: WorkerInfo): WorkerRelation | 'replaced' {
  if (current === undefined) return 'first';
  if (isSameWorker(current, worker)) return 'same';
  return replaced.some((old) => isSameWorker(old, worker)) ? 'replaced' : 'new';
}

/** The history after a worker in charge was read. Pure. */
export function withWorker(history: WorkerHistory, worker: WorkerInfo): WorkerHistory {
  const { current, replaced, seen } = history;
  if (current === undefined) return { ...history, current: worker, seen: seen + 1 };
  if (isSameWorker(current, worker)) return { ...history, current: worker };
  return { current: worker, replaced: [...replaced, current].slice(-maxReplaced), seen: seen + 1 };
}

/** The pid alone does not tell workers apart: in a container, the first worker may have the same pid after each start. */
export function isSameWorker(known: WorkerInfo, worker: WorkerInfo): boolean {
  return (
    worker.pid === known.pid && worker.startedAt === known.startedAt && worker.uptimeSeconds >= known.uptimeSeconds - 1
  );
}
