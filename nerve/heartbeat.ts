import { open } from 'node:fs/promises';
import { clock } from '../common/async/clock.ts';
import { sleep } from '../common/async/supervise.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';

/** SmartStack's main loop touched the file every ten seconds at most; watchdogs count on that. Milliseconds. */
const interval = 5000;

/** Touches a file again and again until `signal` aborts, so that a watchdog sees that this process still works. */
export async function beat(path: string, log: Log, signal: AbortSignal): Promise<void> {
  let failing = false;
  while (!signal.aborted) {
    try {
      await touch(path);
      failing = false;
    } catch (error) {
      if (!failing) log.warn('heartbeat file cannot be written', { path, reason: reasonOf(error) });
      failing = true;
    }
    await sleep(interval, signal);
  }
}

async function touch(path: string): Promise<void> {
  const file = await open(path, 'a');
  try {
    const now = clock.date();
    await file.utimes(now, now);
  } finally {
    await file.close();
  }
}
