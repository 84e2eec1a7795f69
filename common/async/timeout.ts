import { formatDuration } from '../wording.ts';
import { abortable, linkAbort } from './abort.ts';
import { clock } from './clock.ts';

/**
 * Aborts after `delayMs` with a TimeoutError, as `AbortSignal.timeout` does, by the clock in use. The timer stays until
 * it fires: for single calls. What is called often uses {@link withTimeout}.
 */
export function timeoutSignal(delayMs: number): AbortSignal {
  const controller = new AbortController();
  const error = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
  clock.setTimeout(() => controller.abort(error), delayMs).unref();
  return controller.signal;
}

/** The time given to {@link withTimeout} was up. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/** The limit of {@link withTimeout}. */
export interface TimeoutOptions {
  readonly timeoutMs: number;
  /** What has to be done in that time, for the error: `ZooKeeper at 10.0.0.5:2181`. */
  readonly what: string;
}

/**
 * Runs a task that must end within `timeoutMs`. The task's signal aborts when the time is up or `signal` aborts, and when
 * the task is over, so that nothing it left open, such as a half-read answer, outlives it. A task that ignores its signal
 * is left behind, and its result is dropped.
 * @throws what the task throws; a {@link TimeoutError} that names `what` when the time is up; the reason of `signal` when that aborts
 */
export async function withTimeout<Result>(
  task: (signal: AbortSignal) => Promise<Result>,
  { timeoutMs, what }: TimeoutOptions,
  signal: AbortSignal,
): Promise<Result> {
  signal.throwIfAborted();
  const link = linkAbort(signal);
  const timer = clock.setTimeout(() => {
    link.abort(new TimeoutError(`${what}: no answer within ${formatDuration(timeoutMs)}`));
  }, timeoutMs);
  try {
    return await abortable(task(link.signal), link.signal);
  } finally {
    clock.clearTimeout(timer);
    link.release();
    link.abort();
  }
}
