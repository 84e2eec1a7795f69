import { timeoutSignal } from '../common/async/abort.ts';
import { sleep } from '../common/async/supervise.ts';
import { defaultGrace } from '../common/daemon/lifecycle.ts';
import type { Log } from '../common/daemon/log.ts';
import type { ShutdownConfig } from './config/config.ts';
import type { Nerve } from './nerve.ts';

/** How long everything may take to be withdrawn at the end; what is left goes with the lease. Milliseconds. */
const closeTimeout = 5000;

/** How long an orderly end may take. Milliseconds. */
export function shutdownTime({ drain }: ShutdownConfig): number {
  return defaultGrace + drain;
}

/** Ends everything as configured: withdraws, or drains first, or leaves all to the next process. Checks go on while it drains. */
export async function shutDown(nerve: Nerve, { drain, keep }: ShutdownConfig, log: Log): Promise<void> {
  if (drain > 0 && (await nerve.drainAll(timeoutSignal(closeTimeout)))) {
    log.info('draining before the end', { milliseconds: drain });
    await sleep(drain);
  }
  await nerve.close(closeTimeout, { keep });
}
