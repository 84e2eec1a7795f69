import { formatDuration } from '../wording.ts';
import { clock } from './clock.ts';

/**
 * Runs a task that has at most `limit` milliseconds. Its signal aborts when they are over, or when `signal` aborts; a
 * task that does not listen is left behind, and whatever it does then goes unheard.
 * @throws what the task throws, an error that names `what` when time is up, the reason of `signal` when that aborts
 */
export async function within<T>(
  limit: number,
  what: string,
  task: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const end = new AbortController();
  const stop = (): void => end.abort(signal.reason);
  const timer = clock.setTimeout(() => {
    end.abort(new Error(`${what}: no answer within ${formatDuration(limit)}`));
  }, limit);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const ended = new Promise<never>((_, reject) => {
      end.signal.addEventListener('abort', () => reject(end.signal.reason), { once: true });
    });
    return await Promise.race([task(end.signal), ended]);
  } finally {
    clock.clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    // What the task left open, such as a half-read answer, ends with it.
    end.abort();
  }
}

/**
 * The promise, or a rejection with the signal's reason as soon as it aborts: for work that knows no signal of its own.
 * The caller ends what the work has open; what the work itself says after that is dropped.
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
