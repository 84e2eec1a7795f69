import { type LinkedAbort, linkAbort, onAbort } from './abort.ts';
import { clock } from './clock.ts';

/** Waits, or returns early when `signal` aborts. Never rejects. */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    let release = (): void => {};
    const timer = clock.setTimeout(
      () => {
        release();
        resolve();
      },
      // Node 21 and later warn about a negative delay.
      Math.max(0, delayMs),
    );
    if (signal !== undefined)
      release = onAbort(signal, () => {
        clock.clearTimeout(timer);
        resolve();
      });
  });
}

/**
 * A sleep that others can end. A call of `wake` before a sleep ends that sleep at once, so a change that comes
 * during the work is not missed.
 */
export class WakeableSleep {
  #woken = false;
  #current: LinkedAbort | undefined;

  /** Ends the sleep under way, or else the next one. */
  wake(): void {
    this.#woken = true;
    this.#current?.abort();
  }

  /** Takes back earlier calls of {@link wake}: what they were about is about to be handled. */
  clear(): void {
    this.#woken = false;
  }

  /** Waits for `delayMs`, {@link wake} or the signal, whatever comes first. Never rejects. */
  async sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#woken && !signal.aborted) {
      const current = linkAbort(signal);
      this.#current = current;
      await sleep(delayMs, current.signal);
      current.release();
      this.#current = undefined;
    }
    this.#woken = false;
  }
}
