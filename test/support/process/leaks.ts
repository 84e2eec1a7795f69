import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is in use of the heap once all garbage is collected, in bytes. */
export function bytesInUse(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** Counts abort listeners, by signal. @returns what stops the counting, and gives the most that one signal has had */
export function countAbortListeners(): () => number {
  const counts = new WeakMap<AbortSignal, number>();
  let most = 0;
  const { addEventListener, removeEventListener } = AbortSignal.prototype;
  const count = (signal: AbortSignal, by: number): void => {
    const now = (counts.get(signal) ?? 0) + by;
    counts.set(signal, now);
    most = Math.max(most, now);
  };
  AbortSignal.prototype.addEventListener = function (this: AbortSignal, ...args: Parameters<typeof addEventListener>) {
    count(this, 1);
    addEventListener.apply(this, args);
  } as typeof addEventListener;
  AbortSignal.prototype.removeEventListener = function (
    this: AbortSignal,
    ...args: Parameters<typeof removeEventListener>
  ) {
    count(this, -1);
    removeEventListener.apply(this, args);
  } as typeof removeEventListener;
  return () => {
    Object.assign(AbortSignal.prototype, { addEventListener, removeEventListener });
    return most;
  };
}
