import { Allowance } from '../../../common/async/allowance.ts';
import { clock } from '../../../common/async/clock.ts';

/** After a quiet time, this many reloads for one service may follow each other without a pause. */
const burst = 3;

/**
 * The reloads that the records of each service may cause: a token bucket for each, so that the writers of the records of one
 * service cannot keep HAProxy reloading, and cannot delay the reloads of other services.
 */
export class ReloadBudget {
  readonly #intervalMs: number;
  readonly #now: () => number;
  /** Services that are not here have a full one. */
  readonly #allowances = new Map<string, Allowance>();

  /** `intervalMs`: one reload in this time in the long run; 0: no limit. */
  constructor(intervalMs: number, now: () => number = () => clock.now()) {
    this.#intervalMs = intervalMs;
    this.#now = now;
  }

  /** Milliseconds until the records of a service may cause a reload; 0 when they may now. */
  waitMs(service: string): number {
    return this.#allowances.get(service)?.waitMs(this.#now()) ?? 0;
  }

  /** A reload was made for these services. Those that would have to wait go along and pay nothing. */
  spend(services: Iterable<string>): void {
    const now = this.#now();
    for (const [service, allowance] of [...this.#allowances]) {
      if (allowance.isFull(now)) this.#allowances.delete(service);
    }
    if (this.#intervalMs === 0) return;
    for (const service of new Set(services)) {
      const allowance = this.#allowances.get(service) ?? new Allowance({ burst, intervalMs: this.#intervalMs });
      this.#allowances.set(service, allowance);
      allowance.take(now);
    }
  }
}
