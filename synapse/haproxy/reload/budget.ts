import { clock } from '../../../common/async/clock.ts';

/** After a quiet time, this many reloads for one service may follow each other without a pause. */
const burst = 3;

/**
 * The reloads that the records of each service may cause: a token bucket for each, so that whoever writes the records of one
 * service cannot keep HAProxy reloading, and cannot delay the reloads of other services.
 */
export class ReloadBudget {
  readonly #intervalMs: number;
  readonly #now: () => number;
  /** Service → when its bucket is full again. Services that are not here have a full one. */
  readonly #fullAt = new Map<string, number>();

  /** `intervalMs`: one reload in this time in the long run; 0: no limit. */
  constructor(intervalMs: number, now: () => number = () => clock.now()) {
    this.#intervalMs = intervalMs;
    this.#now = now;
  }

  /** Milliseconds until the records of a service may cause a reload; 0 when they may now. */
  waitMs(service: string): number {
    const fullAt = this.#fullAt.get(service) ?? 0;
    return Math.max(0, fullAt - (burst - 1) * this.#intervalMs - this.#now());
  }

  /** A reload was made for these services. Those that would have to wait go along and pay nothing. */
  spend(services: Iterable<string>): void {
    const now = this.#now();
    for (const [service, fullAt] of [...this.#fullAt]) if (fullAt <= now) this.#fullAt.delete(service);
    if (this.#intervalMs === 0) return;
    for (const service of new Set(services)) {
      if (this.waitMs(service) > 0) continue;
      this.#fullAt.set(service, Math.max(now, this.#fullAt.get(service) ?? 0) + this.#intervalMs);
    }
  }
}
