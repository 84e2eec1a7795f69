import { type Log, reasonOf } from '../daemon/log.ts';
import { onAbort } from './abort.ts';
import { clock } from './clock.ts';

/** How long to wait before another try, in milliseconds. */
export interface Backoff {
  /** Upper bound of the first wait. */
  readonly min: number;
  /** Upper bound of any wait. */
  readonly max: number;
}

/** Grows from a tenth of a second to ten seconds. */
export const defaultBackoff: Backoff = { min: 100, max: 10_000 };

export interface SuperviseOptions {
  /** What is being kept alive, for the log: 'source of api'. */
  readonly what: string;
  readonly log: Log;
  readonly backoff?: Backoff;
  /** A run that lasted this long counts as healthy: the next failure starts a new outage. Milliseconds, default 30 s. */
  readonly healthyAfter?: number;
  /** Told the reason of every failure, logged or not, and null when a run has lasted `healthyAfter`. */
  readonly onState?: (reason: string | null) => void;
}

/**
 * Runs `task` again whenever it fails or returns, until `signal` aborts. The only place that retries: everything else
 * throws. Waits with exponential backoff and full jitter between runs, and logs an outage once, not every retry.
 */
export async function supervise(
  task: (signal: AbortSignal) => Promise<void>,
  options: SuperviseOptions,
  signal: AbortSignal,
): Promise<void> {
  const { what, log, backoff = defaultBackoff, healthyAfter = 30_000, onState } = options;
  let failures = 0;
  while (!signal.aborted) {
    const recovered = clock.setTimeout(() => {
      if (failures > 0) log.info(`${what} recovered`, { failures });
      failures = 0;
      onState?.(null);
    }, healthyAfter);
    recovered.unref();
    try {
      await task(signal);
      if (signal.aborted) return;
      throw new Error('ended unexpectedly');
    } catch (error) {
      if (signal.aborted) return;
      const reason = reasonOf(error);
      onState?.(reason);
      if (failures === 0) log.warn(`${what} failed, retrying`, { reason });
      else log.debug(`${what} failed again`, { reason, failures });
      failures += 1;
    } finally {
      clock.clearTimeout(recovered);
    }
    await sleep(jittered(backoff, failures - 1), signal);
  }
}

/** A random wait between 0 and the bound for this attempt (counted from 0), in milliseconds: full jitter. */
export function jittered(backoff: Backoff, attempt: number): number {
  return clock.random() * Math.min(backoff.max, backoff.min * 2 ** Math.min(attempt, 30));
}

/** Waits, or returns early when `signal` aborts. Never rejects. Milliseconds. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    let release = (): void => {};
    // Node warns of a negative time (from 21 on).
    const timer = clock.setTimeout(
      () => {
        release();
        resolve();
      },
      Math.max(0, milliseconds),
    );
    if (signal !== undefined)
      release = onAbort(signal, () => {
        clock.clearTimeout(timer);
        resolve();
      });
  });
}
