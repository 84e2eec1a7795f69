import { clock } from '../async/clock.ts';
import type { Log, LogFields } from './log.ts';

/** How many lines may be written. */
export interface LogLimit {
  /** Lines at once after a quiet time. */
  readonly burst: number;
  /** One more line after each such time, in milliseconds. */
  readonly intervalMs: number;
}

/** Ten lines at once, then one every 10 s: at most 16 in any minute. */
export const defaultLogLimit: LogLimit = { burst: 10, intervalMs: 10_000 };

/**
 * Writes at most so many warnings, for messages whose number others decide: those who write into a registry, or a server that
 * refuses everything. A line that follows lines left out says how many (`omitted`).
 */
export class LimitedLog {
  readonly #log: Pick<Log, 'warn'>;
  readonly #limit: LogLimit;
  #tokens: number;
  #filledAt = clock.now();
  #omitted = 0;

  constructor(log: Pick<Log, 'warn'>, limit: LogLimit = defaultLogLimit) {
    this.#log = log;
    this.#limit = limit;
    this.#tokens = limit.burst;
  }

  warn(message: string, fields: LogFields = {}): void {
    const { burst, intervalMs } = this.#limit;
    const now = clock.now();
    const filled = Math.floor((now - this.#filledAt) / intervalMs);
    this.#tokens = Math.min(burst, this.#tokens + filled);
    this.#filledAt = this.#tokens === burst ? now : this.#filledAt + filled * intervalMs;
    if (this.#tokens === 0) {
      this.#omitted += 1;
      return;
    }
    this.#tokens -= 1;
    this.#log.warn(message, { ...fields, ...(this.#omitted > 0 && { omitted: this.#omitted }) });
    this.#omitted = 0;
  }
}
