import { clock } from '../../../common/async/clock.ts';
import { sleep } from '../../../common/async/sleep.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { Host } from '../../../common/host.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { countOldWorkers } from './master.ts';

/** A reload waits while there are this many old workers. */
const mostOldWorkers = 5;
/** How long a reload waits for old workers at most. */
const longestPauseMs = 60_000;
const countIntervalMs = 5_000;
/** While a reload waits. */
const waitingIntervalMs = 1_000;

/** What {@link OldWorkers} needs. */
export interface OldWorkersDeps {
  readonly log: Log;
  readonly host: Pick<Host, 'connectUnix'>;
}

/** Counts the workers that finish their connections after a reload: each holds memory, and each reload makes one more. */
export class OldWorkers {
  readonly #path: string | null;
  readonly #deps: OldWorkersDeps;
  #count: number | undefined;
  /** Since when a reload waits for them. */
  #waitingSince: number | undefined;

  constructor(config: Pick<HaproxyConfig, 'master_socket_path' | 'do_reloads'>, deps: OldWorkersDeps) {
    this.#path = config.do_reloads ? config.master_socket_path : null;
    this.#deps = deps;
  }

  /** Undefined where there is no master process to ask. */
  get count(): number | undefined {
    return this.#count;
  }

  /** Milliseconds that a due reload still waits for old workers to end; 0: it need not wait. */
  get waitMs(): number {
    return this.#waitingSince === undefined ? 0 : Math.max(0, this.#waitingSince + longestPauseMs - clock.now());
  }

  /** Notes whether a reload is due: it begins to wait, or waits no more. */
  observe(due: boolean): void {
    if (!due || this.#count === undefined || this.#count < mostOldWorkers) {
      this.#waitingSince = undefined;
    } else if (this.#waitingSince === undefined) {
      this.#waitingSince = clock.now();
      this.#deps.log.warn('a reload waits for old HAProxy workers to end', {
        workers: this.#count,
        longest: longestPauseMs,
      });
    }
  }

  /** Counts now. Never rejects. */
  async refresh(signal: AbortSignal): Promise<void> {
    if (this.#path === null) return;
    try {
      this.#count = await countOldWorkers(this.#path, this.#deps.host, signal);
    } catch (error) {
      this.#count = undefined;
      if (!signal.aborted) this.#deps.log.debug('the old workers cannot be counted', { reason: reasonOf(error) });
    }
  }

  /** Counts from time to time until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (this.#path !== null && !signal.aborted) {
      await this.refresh(signal);
      await sleep(this.#waitingSince === undefined ? countIntervalMs : waitingIntervalMs, signal);
    }
  }
}
