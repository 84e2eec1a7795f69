import { clock } from '../../../common/async/clock.ts';
import { sleep } from '../../../common/async/sleep.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { countOldWorkers } from './master.ts';

/** Counts the workers that finish their connections: each holds memory, and each reload makes one more. */
export interface Crowd {
  /** Undefined where there is no master to ask. */
  readonly count: number | undefined;
  /** Milliseconds for which a reload that is due should wait for old workers to end; 0: it need not. */
  wait(due: boolean): number;
  /** Counts now. Never rejects. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Counts again and again until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** With so many old workers, reloads wait … */
const mostOldWorkers = 5;
/** … but not for longer than this; milliseconds. */
const longestPause = 60_000;
const countInterval = 5_000;
/** While a reload waits; milliseconds. */
const waitingInterval = 1_000;

export function createCrowd(
  config: Pick<HaproxyConfig, 'master_socket_path' | 'do_reloads'>,
  log: Log,
  now: () => number = () => clock.now(),
): Crowd {
  const path = config.do_reloads ? config.master_socket_path : null;
  let count: number | undefined;
  let waitingSince: number | undefined;

  const refresh = async (signal: AbortSignal): Promise<void> => {
    if (path === null) return;
    try {
      count = await countOldWorkers(path, signal);
    } catch (error) {
      count = undefined;
      if (!signal.aborted) log.debug('the old workers cannot be counted', { reason: reasonOf(error) });
    }
  };

  return {
    get count() {
      return count;
    },
    wait(due) {
      if (!due || count === undefined || count < mostOldWorkers) {
        waitingSince = undefined;
        return 0;
      }
      if (waitingSince === undefined) {
        waitingSince = now();
        log.warn('a reload waits for old HAProxy workers to end', { workers: count, longest: longestPause });
      }
      return Math.max(0, waitingSince + longestPause - now());
    },
    refresh,
    async run(signal) {
      while (path !== null && !signal.aborted) {
        await refresh(signal);
        await sleep(waitingSince === undefined ? countInterval : waitingInterval, signal);
      }
    },
  };
}
