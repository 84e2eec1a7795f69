import { clock, type Timer } from '../../common/async/clock.ts';

/** One timer for each service with suspects; it fires when the expiry guard has held the first of them long enough. */
export class HoldTimers {
  readonly #timers = new Map<string, Timer>();
  readonly #onEnd: (service: string) => void;

  constructor(onEnd: (service: string) => void) {
    this.#onEnd = onEnd;
  }

  /** Sets the timer of a service, in milliseconds of `clock.now()`; undefined when nothing is held. */
  set(service: string, at: number | undefined): void {
    clock.clearTimeout(this.#timers.get(service));
    this.#timers.delete(service);
    if (at === undefined) return;
    const delayMs = Math.max(1, Math.ceil(at - clock.now()));
    this.#timers.set(
      service,
      clock.setTimeout(() => this.#onEnd(service), delayMs),
    );
  }

  /** Stops all timers. */
  clear(): void {
    for (const timer of this.#timers.values()) clock.clearTimeout(timer);
    this.#timers.clear();
  }
}
