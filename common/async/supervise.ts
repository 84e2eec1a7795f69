import { type Log, reasonOf } from '../daemon/log.ts';
import { type Backoff, defaultBackoff, jittered } from './backoff.ts';
import { clock } from './clock.ts';
import { sleep } from './sleep.ts';

/** What {@link supervise} needs. */
export interface SuperviseOptions {
  /** What is being kept alive, for the log: `source of api`. */
  readonly what: string;
  readonly log: Log;
  readonly backoff?: Backoff;
  /** A run that lasts this long counts as healthy: the next failure starts a new outage. Default 30 s. */
  readonly healthyAfterMs?: number;
  /** Called with the reason of every failure, logged or not, and with null when a run has become healthy. */
  readonly onReason?: (reason: string | null) => void;
}

/**
 * Runs `task` again whenever it fails or returns, until `signal` aborts. Waits with exponential backoff and full jitter
 * between runs, and logs an outage once, not every attempt. Never rejects.
 */
export async function supervise(
  task: (signal: AbortSignal) => Promise<void>,
  options: SuperviseOptions,
  signal: AbortSignal,
): Promise<void> {
  const { what, log, backoff = defaultBackoff, healthyAfterMs = 30_000, onReason } = options;
  let failures = 0;
  while (!signal.aborted) {
    const recovered = clock.setTimeout(() => {
      if (failures > 0) log.info(`${what} recovered`, { failures });
      failures = 0;
      onReason?.(null);
    }, healthyAfterMs);
    recovered.unref();
    try {
      await task(signal);
      if (signal.aborted) return;
      throw new Error('ended unexpectedly');
    } catch (error) {
      if (signal.aborted) return;
      const reason = reasonOf(error);
      onReason?.(reason);
      if (failures === 0) log.warn(`${what} failed, retrying`, { reason });
      else log.debug(`${what} failed again`, { reason, failures });
      failures += 1;
    } finally {
      clock.clearTimeout(recovered);
    }
    await sleep(jittered(backoff, failures - 1), signal);
  }
}
