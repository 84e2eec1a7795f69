/** How often something may happen. */
export interface Rate {
  /** Times without a pause after a quiet time. */
  readonly burst: number;
  /** In the long run, once in this time, milliseconds. */
  readonly intervalMs: number;
}

/** A token bucket. It starts full. Times are by `clock.now()`, and never go back. */
export class Allowance {
  readonly #rate: Rate;
  /** When all tokens are back. Each that is taken moves it by one interval. */
  #fullAt = Number.NEGATIVE_INFINITY;

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Milliseconds until there is a token; 0 when there is one. */
  waitMs(now: number): number {
    const { burst, intervalMs } = this.#rate;
    return Math.max(0, this.#fullAt - (burst - 1) * intervalMs - now);
  }

  /** Takes a token. @returns false when there is none */
  take(now: number): boolean {
    if (this.waitMs(now) > 0) return false;
    this.#fullAt = Math.max(now, this.#fullAt) + this.#rate.intervalMs;
    return true;
  }

  /** True when no token is missing: it is as good as a new one. */
  isFull(now: number): boolean {
    return this.#fullAt <= now;
  }
}
