import type { WorkerInfo } from './parse.ts';
import type { WorkerRelation } from './server-state.ts';

/** The workers that were seen behind one socket. */
export interface WorkerHistory {
  /** The worker in charge, as it was last read. */
  readonly current: WorkerInfo | undefined;
  /** How many different workers have been in charge. */
  readonly seen: number;
}

/** The history before the first worker. */
export const noWorkers: WorkerHistory = { current: undefined, seen: 0 };

/** How a worker relates to those that were seen. Pure. */
export function relationOf({ current }: WorkerHistory, worker: WorkerInfo): WorkerRelation {
  if (current === undefined) return 'first';
  return isSameWorker(current, worker) ? 'same' : 'new';
}

/** The history after a worker was read. Pure. */
export function withWorker(history: WorkerHistory, worker: WorkerInfo): WorkerHistory {
  if (relationOf(history, worker) === 'same') return { ...history, current: worker };
  return { current: worker, seen: history.seen + 1 };
}

/** The pid alone does not tell workers apart: in a container, the first worker may have the same pid after each start. */
export function isSameWorker(known: WorkerInfo, worker: WorkerInfo): boolean {
  return worker.pid === known.pid && worker.uptimeSeconds >= known.uptimeSeconds - 1;
}
