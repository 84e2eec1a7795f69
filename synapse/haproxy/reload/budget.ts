import { Allowance, type Rate } from '../../../common/async/allowance.ts';
import { clock } from '../../../common/async/clock.ts';
import { LimitedLog } from '../../../common/daemon/limited-log.ts';
import type { Log } from '../../../common/daemon/log.ts';

/**
 * The reloads that the records of each service may cause: a token bucket for each, so that the writers of the records of one
 * service cannot keep HAProxy reloading, and cannot delay the reloads of other services.
 */
export class ReloadBudget {
  readonly #rate: Rate;
  readonly #log: LimitedLog;
  readonly #now: () => number;
  /** Services that are not here have a full one. */
  readonly #allowances = new Map<string, Allowance>();
  /** Services that were logged to wait for their budget. */
  #logged: ReadonlySet<string> = new Set();

  /** An interval of 0: no limit. */
  constructor(rate: Rate, log: Log, now: () => number = () => clock.now()) {
    this.#rate = rate;
    this.#log = new LimitedLog(log);
    this.#now = now;
  }

  /** Milliseconds until the records of a service may cause a reload; 0 when they may now. */
  waitMs(service: string): number {
    return this.#allowances.get(service)?.waitMs(this.#now()) ?? 0;
  }

  /** Those of the services that are over their budget → milliseconds until their next reload. */
  waiting(services: Iterable<string>): ReadonlyMap<string, number> {
    const waiting = new Map<string, number>();
    for (const service of services) {
      const waitMs = this.waitMs(service);
      if (waitMs > 0) waiting.set(service, waitMs);
    }
    return waiting;
  }

  /** Logs, once for each, that these services wait; those that are not among them wait no more. */
  logWaiting(waiting: ReadonlyMap<string, number>): void {
    for (const [service, waitMs] of waiting) {
      if (this.#logged.has(service)) continue;
      const message = 'the records of a service want more reloads than service_reload_interval allows: they wait';
      this.#log.warn(message, { service, seconds: Math.ceil(waitMs / 1000) });
    }
    this.#logged = new Set(waiting.keys());
  }

  /** A reload was made for these services. Those that would have to wait go along and pay nothing. */
  spend(services: Iterable<string>): void {
    const now = this.#now();
    for (const [service, allowance] of [...this.#allowances]) {
      if (allowance.isFull(now)) this.#allowances.delete(service);
    }
    if (this.#rate.intervalMs === 0) return;
    for (const service of new Set(services)) {
      const allowance = this.#allowances.get(service) ?? new Allowance(this.#rate);
      this.#allowances.set(service, allowance);
      allowance.take(now);
    }
  }
}
