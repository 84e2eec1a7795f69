import { onAbort } from '../../common/async/abort.ts';
import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import { supervise } from '../../common/async/supervise.ts';
import { withTimeout } from '../../common/async/timeout.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { SourceStatus } from '../source.ts';

/** What is polled, and how often. */
export interface PollOptions {
  /** Name of the polled system, for the log and for errors: 'the DNS'. */
  readonly what: string;
  /** From the end of one request to the start of the next; also the longest wait after failures. */
  readonly intervalMs: number;
  /** The longest that one request may take. */
  readonly timeoutMs: number;
  readonly log: Log;
}

/** One request; it may return the milliseconds until the next one, in place of the interval. */
export type PollRequest = (signal: AbortSignal) => Promise<number | undefined>;

/** Asks the same thing again and again. The constructor does no I/O. */
export class Poll {
  readonly #request: PollRequest;
  readonly #options: PollOptions;
  #reason: string | null;
  /** When the last request succeeded, in milliseconds of `clock.now()`. */
  #provedAt: number | null = null;
  /** Ends the wait for the next request. */
  #waiting = new AbortController();
  #isFirst = true;

  constructor(request: PollRequest, options: PollOptions) {
    this.#request = request;
    this.#options = options;
    this.#reason = `${options.what} has not answered yet`;
  }

  /**
   * Asks at once, then again and again until `signal` aborts. The second request comes after a random part of the
   * interval, so that a fleet that starts together does not go on asking together. An outage is logged once; failed
   * requests are repeated with growing waits, up to the interval.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { what, intervalMs, timeoutMs, log } = this.#options;
    const release = onAbort(signal, () => this.wake());
    const backoff = { baseMs: Math.min(1_000, intervalMs), maxMs: intervalMs };
    // A request that hangs does not count as healthy.
    const healthyAfterMs = timeoutMs + 1_000;
    const onReason = (reason: string | null): void => {
      if (reason !== null) this.#reason = reason;
    };
    try {
      await supervise((stop) => this.#loop(stop), { what, log, backoff, healthyAfterMs, onReason }, signal);
    } finally {
      release();
    }
  }

  /** Asks again as soon as the present request, if any, is over. Ignored during the wait after a failure. */
  wake(): void {
    this.#waiting.abort();
  }

  status(): SourceStatus {
    return { reason: this.#reason, age: this.#provedAt === null ? null : clock.now() - this.#provedAt };
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { what, intervalMs, timeoutMs } = this.#options;
    while (!signal.aborted) {
      // Before the request, which may miss what changes from now on.
      this.#waiting = new AbortController();
      const waitMs = (await withTimeout(this.#request, { timeoutMs, what }, signal)) ?? intervalMs;
      this.#reason = null;
      this.#provedAt = clock.now();
      const part = this.#isFirst ? clock.random() : 1;
      this.#isFirst = false;
      await sleep(waitMs * part, this.#waiting.signal);
    }
  }
}
