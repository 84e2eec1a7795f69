import { open } from 'node:fs/promises';
import { clock } from '../../../../common/async/clock.ts';
import { sleep } from '../../../../common/async/sleep.ts';

/** Far more than any list of instances needs. */
const maxBytes = 16 << 20;
/** A file written in place is read only after it has been left alone for so long, milliseconds. */
const settled = 100;

/**
 * The text of a file that nobody is writing: half a JSON list is no JSON, but half a YAML list is a list.
 * @throws when it is missing, too large, or written without a pause
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
      // A clock that was set back must not keep us waiting.
      if (same && Math.abs(clock.wallTime() - after.mtimeMs) >= settled) return text;
    } finally {
      await file.close();
    }
    await sleep(settled / 2, signal);
  }
  throw new Error(`${path}: is being written all the time`);
}
