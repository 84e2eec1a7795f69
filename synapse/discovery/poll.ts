import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import { supervise } from '../../common/async/supervise.ts';
import { withTimeout } from '../../common/async/timeout.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { SourceStatus } from '../source.ts';

export interface PollOptions {
  /** What is asked, for the log and for errors: 'the DNS'. */
  readonly what: string;
  /** Milliseconds from the end of one look to the start of the next, and the longest wait after failures. */
  readonly interval: number;
  /** The longest one look may take, milliseconds. */
  readonly timeout: number;
  readonly log: Log;
}

/** The loop that everyone shares who has to ask again and again. */
export interface Poll {
  /**
   * Looks at once, then again and again until `signal` aborts. The second look comes after a random part of the
   * interval: a fleet that starts together does not ask together for ever. A failed look is reported once for each
   * outage, and repeated with growing waits up to the interval.
   */
  run(signal: AbortSignal): Promise<void>;
  /** Looks again as soon as the current look, if any, is over; ignored during the wait after a failure. */
  wake(): void;
  status(): SourceStatus;
}

/** `look` may return after how many milliseconds it wants to look again, in place of the interval. Does no I/O. */
export function createPoll(look: (signal: AbortSignal) => Promise<number | undefined>, options: PollOptions): Poll {
  const { what, interval, timeout, log } = options;
  let reason: string | null = `${what} has not answered yet`;
  let provedAt: number | null = null;
  let awake = new AbortController();
  let first = true;

  const loop = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      // Before the look: what happens from now on may be too late for it.
      awake = new AbortController();
      const wait = (await withTimeout(look, { timeoutMs: timeout, what }, signal)) ?? interval;
      reason = null;
      provedAt = clock.now();
      const part = first ? clock.random() : 1;
      first = false;
      await sleep(wait * part, awake.signal);
    }
  };

  return {
    async run(signal) {
      const wake = (): void => awake.abort();
      signal.addEventListener('abort', wake, { once: true });
      const backoff = { baseMs: Math.min(1_000, interval), maxMs: interval };
      const onReason = (failure: string | null): void => {
        if (failure !== null) reason = failure;
      };
      try {
        // A look that hangs is no sign of health.
        await supervise(loop, { what, log, backoff, healthyAfterMs: timeout + 1_000, onReason }, signal);
      } finally {
        signal.removeEventListener('abort', wake);
      }
    },
    wake: () => awake.abort(),
    status: () => ({ reason, age: provedAt === null ? null : clock.now() - provedAt }),
  };
}
