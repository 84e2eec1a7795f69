import type { Log } from '../../../common/daemon/log.ts';
import { keyOfReason, type ReloadReason } from '../spec/reload-reason.ts';
import { ReloadBudget } from './budget.ts';

/** After a quiet time, this many reloads for one service may follow each other without a pause. */
const burst = 3;

/** Which reasons lead to a reload now: not those that a reload has not helped, nor those of a service over its budget. */
export class DueReasons {
  readonly #budget: ReloadBudget;
  /** The reasons that were left right after a reload that worked: another one would not help in the same context. */
  #unmended: { readonly context: string; readonly keys: ReadonlySet<string> } | undefined;

  constructor(intervalMs: number, log: Log) {
    this.#budget = new ReloadBudget({ burst, intervalMs }, log);
  }

  /** Services that are over their budget → milliseconds until the next reload that their records may cause. */
  waiting(reasons: readonly ReloadReason[]): ReadonlyMap<string, number> {
    return this.#budget.waiting(servicesOf(reasons));
  }

  /**
   * Milliseconds until one of the reasons may lead to a reload; undefined when another reload would help none of them.
   * `context`: another one when the configuration in the file, or the workers, are others.
   */
  waitMs(reasons: readonly ReloadReason[], context: string): number | undefined {
    this.#budget.logWaiting(this.waiting(reasons));
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
    this.#budget.spend(servicesOf(reasons));
  }

  /** A reload has worked, and these reasons are left. */
  left(reasons: readonly ReloadReason[], context: string): void {
    this.#unmended = reasons.length === 0 ? undefined : { context, keys: new Set(reasons.map(keyOfReason)) };
  }

  /** No reason is left. */
  settle(): void {
    this.#unmended = undefined;
    this.#budget.logWaiting(new Map());
  }
}

function servicesOf(reasons: readonly ReloadReason[]): readonly string[] {
  return reasons.map(({ service }) => service).filter((service) => service !== undefined);
}
