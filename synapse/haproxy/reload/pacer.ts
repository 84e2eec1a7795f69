import { clock } from '../../../common/async/clock.ts';
import type { HaproxyConfig } from '../options/config.ts';

/** Knows when the next reload may begin. */
export interface ReloadPacer {
  /** Milliseconds until it may; 0 when it may now. */
  wait(): number;
  /** One has ended after so many milliseconds. Failures in a row wait longer and longer. */
  done(worked: boolean, took?: number): void;
  /** Failures so far count no more; the interval does. */
  forget(): void;
}

const firstFailureWait = 5_000;
const longestFailureWait = 300_000;
/** The interval when the user gives none, SmartStack's; milliseconds. */
const defaultInterval = 2_000;
/** Without an interval of the user's, so many reloads may follow each other at once after a quiet time. */
const defaultBurst = 2;
/** A reload that takes long keeps a processor busy: so many times its duration are between two. */
const idleFactor = 3;

/**
 * A token bucket: one reload for each `restart_interval`, lengthened by a random part of it up to `restart_jitter`.
 * An interval that the user gives holds between any two reloads; the default lets a second one follow at once.
 */
export function createReloadPacer(
  config: Pick<HaproxyConfig, 'restart_interval' | 'restart_jitter'>,
  now: () => number = () => clock.now(),
  random: () => number = clock.random,
): ReloadPacer {
  const interval = config.restart_interval ?? defaultInterval;
  const burst = config.restart_interval === null ? defaultBurst : 1;
  /** When each token that was spent comes back, oldest first. */
  let spent: number[] = [];
  let rested = 0;
  let failures = 0;
  let retryAt = 0;
  const soonest = (): number => {
    spent = spent.filter((back) => back > now());
    return Math.max(rested, spent.length < burst ? 0 : (spent[spent.length - burst] ?? 0));
  };
  return {
    wait: () => Math.max(0, Math.max(soonest(), retryAt) - now()),
    done(worked, took = 0) {
      failures = worked ? 0 : failures + 1;
      const pause = failures === 0 ? 0 : Math.min(firstFailureWait * 2 ** (failures - 1), longestFailureWait);
      soonest();
      const from = burst === 1 ? now() : Math.max(now(), spent.at(-1) ?? 0);
      spent.push(from + interval * (1 + config.restart_jitter * random()));
      rested = now() + idleFactor * took;
      retryAt = now() + pause;
    },
    forget() {
      failures = 0;
      retryAt = 0;
    },
  };
}
