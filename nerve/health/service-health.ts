import { setMaxListeners } from 'node:events';
import { clock } from '../../common/async/clock.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { ServiceConfig } from '../config/service-config.ts';
import { initMetrics, transitions } from '../metrics.ts';
import type { CheckStatus, Health } from '../status-shape.ts';
import { ProbeWorker } from './probe-worker.ts';

/** The health of one service, from all its checks. A service without checks is up. */
export class ServiceHealth {
  readonly #name: string;
  readonly #log: Log;
  readonly #workers: readonly ProbeWorker[];
  #health: Health = 'unknown';
  #since = clock.date().toISOString();

  constructor({ name, checks }: ServiceConfig, deps: { readonly log: Log }) {
    this.#name = name;
    this.#log = deps.log.child({ service: name });
    this.#workers = checks.map((check) => new ProbeWorker(name, check, { log: this.#log }));
    initMetrics(
      name,
      checks.map((check) => check.name),
    );
  }

  /** Unknown until every check has a result, or one of them is down. */
  get health(): Health {
    return this.#health;
  }

  /** Since when it has this health, ISO 8601. */
  get since(): string {
    return this.#since;
  }

  get checks(): readonly CheckStatus[] {
    return this.#workers.map((worker) => worker.status);
  }

  /**
   * Runs the checks until `signal` aborts, the first probes within `spreadMs`. Calls `onChange` when the health is first known
   * and whenever it changes.
   */
  async run(onChange: (health: 'up' | 'down') => void, spreadMs: number, signal: AbortSignal): Promise<void> {
    // Each check listens to it.
    setMaxListeners(0, signal);
    const update = (): void => {
      const health = combine(this.#workers);
      // A known health never becomes unknown again: each check keeps its last one.
      if (health === this.#health || health === 'unknown' || signal.aborted) return;
      this.#health = health;
      this.#since = clock.date().toISOString();
      transitions.inc({ service: this.#name, to: health });
      if (health === 'up') this.#log.info('service is up');
      else this.#log.warn('service is down');
      onChange(health);
    };
    update();
    await Promise.all(this.#workers.map((worker) => worker.run(update, spreadMs, signal)));
  }
}

function combine(workers: readonly ProbeWorker[]): Health {
  if (workers.some(({ up }) => up === false)) return 'down';
  return workers.every(({ up }) => up === true) ? 'up' : 'unknown';
}
