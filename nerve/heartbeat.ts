import { clock } from '../common/async/clock.ts';
import { sleep } from '../common/async/sleep.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import type { Files } from '../common/host.ts';

/** SmartStack's main loop touched the file at least every ten seconds; existing watchdogs rely on that. */
const intervalMs = 5000;

/** Touches a file every few seconds until `signal` aborts, so that a watchdog sees that this process works. */
export async function heartbeat(
  path: string,
  { log, files }: { readonly log: Log; readonly files: Pick<Files, 'touch'> },
  signal: AbortSignal,
): Promise<void> {
  let failing = false;
  while (!signal.aborted) {
    try {
      await files.touch(path, clock.date());
      failing = false;
    } catch (error) {
      if (!failing) log.warn('heartbeat file cannot be written', { path, reason: reasonOf(error) });
      failing = true;
    }
    await sleep(intervalMs, signal);
  }
}
