import { LimitedLog } from '../../../common/daemon/limited-log.ts';
import type { Log } from '../../../common/daemon/log.ts';
import { keyOfReason, type ReloadReason } from '../spec/reload-reason.ts';
import { ReloadBudget } from './budget.ts';

/** Which reasons lead to a reload now: not those that a reload has not helped, nor those of a service over its budget. */
export class DueReasons {
  readonly #budget: ReloadBudget;
  readonly #log: LimitedLog;
  /** The reasons that were left right after a reload that worked: another one would not help in the same context. */
  #unmended: { readonly context: string; readonly keys: ReadonlySet<string> } | undefined;
  /** Services that were logged to wait for their budget. */
  #logged: ReadonlySet<string> = new Set();

  constructor(intervalMs: number, log: Log) {
    this.#budget = new ReloadBudget(intervalMs);
    this.#log = new LimitedLog(log);
  }

  /** Services that are over their budget → milliseconds until the next reload that their records may cause. */
  waiting(reasons: readonly ReloadReason[]): ReadonlyMap<string, number> {
    const waiting = new Map<string, number>();
    for (const { service } of reasons) {
      const waitMs = service === undefined ? 0 : this.#budget.waitMs(service);
      if (service !== undefined && waitMs > 0) waiting.set(service, waitMs);
    }
    return waiting;
  }

  /**
   * Milliseconds until one of the reasons may lead to a reload; undefined when another reload would help none of them.
   * `context`: another one when the configuration in the file, or the workers, are others.
   */
  waitMs(reasons: readonly ReloadReason[], context: string): number | undefined {
    this.#logWaiting(this.waiting(reasons));
    const unmended = this.#unmended?.context === context ? this.#unmended.keys : undefined;
    let least: number | undefined;
    for (const reason of reasons) {
      const { service } = reason;
      if (unmended?.has(keyOfReason(reason))) continue;
      const waitMs = service === undefined ? 0 : this.#budget.waitMs(service);
      least = Math.min(least ?? waitMs, waitMs);
    }
    return least;
  }

  /** A reload is made for these reasons, whichever of them led to it. */
  spend(reasons: readonly ReloadReason[]): void {
    this.#budget.spend(reasons.map(({ service }) => service).filter((service) => service !== undefined));
  }

  /** A reload has worked, and these reasons are left. */
  left(reasons: readonly ReloadReason[], context: string): void {
    this.#unmended = reasons.length === 0 ? undefined : { context, keys: new Set(reasons.map(keyOfReason)) };
  }

  /** No reason is left. */
  settle(): void {
    this.#unmended = undefined;
    this.#logged = new Set();
  }

  #logWaiting(waiting: ReadonlyMap<string, number>): void {
    for (const [service, waitMs] of waiting) {
      if (this.#logged.has(service)) continue;
      const message = 'the records of a service want more reloads than service_reload_interval allows: they wait';
      this.#log.warn(message, { service, seconds: Math.ceil(waitMs / 1000) });
    }
    this.#logged = new Set(waiting.keys());
  }
}
