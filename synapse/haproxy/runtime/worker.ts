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
  /** When the first was read and when each of `replaced` was found to be replaced, milliseconds of `clock.now()`. */
  readonly times: { readonly begun: number; readonly replaced: readonly number[]; readonly firstUptimeMs: number };
}

/** The history before the first worker. */
export const noWorkers: WorkerHistory = {
  current: undefined,
  replaced: [],
  seen: 0,
  times: { begun: 0, replaced: [], firstUptimeMs: 0 },
};

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

/** The history after a worker in charge was read at `now`. Pure. */
export function withWorker(history: WorkerHistory, worker: WorkerInfo, now: number): WorkerHistory {
  const { current, replaced, seen, times } = history;
  if (current === undefined) {
    const firstUptimeMs = worker.uptimeSeconds * 1_000;
    return { ...history, current: worker, seen: seen + 1, times: { ...times, begun: now, firstUptimeMs } };
  }
  if (isSameWorker(current, worker)) return { ...history, current: worker };
  return {
    current: worker,
    replaced: [...replaced, current].slice(-maxReplaced),
    seen: seen + 1,
    times: { ...times, replaced: [...times.replaced, now].slice(-maxReplaced) },
  };
}

/**
 * How many workers may still finish connections when none does so for longer than `longestMs`. Where there is no master to ask,
 * time is all there is. The first worker that was seen may have replaced another one just before. Pure.
 */
export function oldWorkersWithin({ times, current }: WorkerHistory, longestMs: number, now: number): number {
  const seen = times.replaced.filter((at) => now - at < longestMs).length;
  const hadPredecessor = current !== undefined && now - times.begun + times.firstUptimeMs < longestMs;
  return seen + (hadPredecessor ? 1 : 0);
}

/** The pid alone does not tell workers apart: in a container, the first worker may have the same pid after each start. */
export function isSameWorker(known: WorkerInfo, worker: WorkerInfo): boolean {
  return (
    worker.pid === known.pid && worker.startedAt === known.startedAt && worker.uptimeSeconds >= known.uptimeSeconds - 1
  );
}
