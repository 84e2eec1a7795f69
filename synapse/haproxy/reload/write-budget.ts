import type { Log } from '../../../common/daemon/log.ts';
import type { FileUse } from '../options/config.ts';
import { ReloadBudget } from './budget.ts';

/** Where every change of a server takes a reload, the deployment of a service makes several in a row. */
const burstWithoutSocket = 20;
/** As many in `service_reload_interval` after that. */
const perIntervalWithoutSocket = 3;
/** Published configurations may cause as many reloads at once as other records do; see `due-reasons.ts`. */
const burstOfPublished = 3;

/** What the file lacks: changes of these services, and perhaps others, which wait for no budget. */
export interface PendingSubjects {
  readonly services: ReadonlySet<string>;
  readonly others: boolean;
}

const none: PendingSubjects = { services: new Set(), others: false };

/**
 * Holds the file back while all that it lacks comes from services over their budget, where each write of the file is a
 * reload: without the runtime API, and for published configurations where a program watches the file.
 */
export class WriteBudget {
  readonly #use: FileUse;
  readonly #budget: ReloadBudget;
  #pending = none;

  /** `intervalMs`: `service_reload_interval`; 0: no limit. */
  constructor(use: FileUse, intervalMs: number, log: Log, now?: () => number) {
    this.#use = use;
    const rate =
      use === 'only'
        ? { burst: burstWithoutSocket, intervalMs: intervalMs / perIntervalWithoutSocket }
        : { burst: burstOfPublished, intervalMs };
    this.#budget = new ReloadBudget(rate, log, now);
  }

  /** The services over their budget of which the file lacks changes → milliseconds until it may have them. */
  get waiting(): ReadonlyMap<string, number> {
    return this.#budget.waiting(this.#pending.services);
  }

  /** Milliseconds until the file may be written for what it lacks; 0 when it may now. */
  heldMs(): number {
    const { waiting } = this;
    this.#budget.logWaiting(waiting);
    const { services, others } = this.#pending;
    const mayWait = !others && services.size > 0 && waiting.size === services.size;
    return mayWait ? Math.min(...waiting.values()) : 0;
  }

  /** The file lacks a change of these services; undefined: of the configuration. `urgent`: it is not live already. */
  note(services: readonly string[] | undefined, urgent: boolean): void {
    // Changes that are live already are written every half minute at most.
    if (this.#use === 'merged' || (this.#use === 'watched' && !urgent)) return;
    this.#add({ services: new Set(services), others: services === undefined });
  }

  /** A write begins. @returns what it is for */
  begin(): PendingSubjects {
    const pending = this.#pending;
    this.#pending = none;
    return pending;
  }

  /** The write failed: the file lacks this still. */
  putBack(pending: PendingSubjects): void {
    this.#add(pending);
  }

  /** The file is another one now. */
  spend({ services }: PendingSubjects): void {
    this.#budget.spend(services);
  }

  #add({ services, others }: PendingSubjects): void {
    const known = this.#pending;
    this.#pending = { services: new Set([...known.services, ...services]), others: known.others || others };
  }
}
