import { open } from 'node:fs/promises';
import { clock } from '../../../../common/async/clock.ts';
import { sleep } from '../../../../common/async/sleep.ts';

/** Far more than any list of instances. */
const maxBytes = 16 << 20;
/** A file is read only when it has not been changed for this long, because it may be written in place. */
const settledMs = 100;

/**
 * The text of a file that is not being written: half a JSON list is not valid, but half a YAML list is a valid list.
 * @throws when the file is missing, too large, or written without a pause
 */
export async function readSettled(path: string, signal: AbortSignal): Promise<string> {
  for (let tries = 0; tries < 50 && !signal.aborted; tries++) {
    const file = await open(path, 'r');
    try {
      const before = await file.stat();
      if (before.size > maxBytes) throw new Error(`${path}: ${before.size} bytes, at most ${maxBytes} are read`);
      const text = await file.readFile('utf8');
      const after = await file.stat();
      const same = before.size === after.size && before.mtimeMs === after.mtimeMs;
      // The absolute value, because the file's time is in the future after the clock was set back.
      if (same && Math.abs(clock.wallTime() - after.mtimeMs) >= settledMs) return text;
    } finally {
      await file.close();
    }
    await sleep(settledMs / 2, signal);
  }
  throw new Error(`${path}: is written all the time`);
}
