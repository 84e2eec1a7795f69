import { clock, type Timer } from '../../common/async/clock.ts';
import type { Instance } from '../../common/instance.ts';
import type { ServiceConfig } from '../config/service-config.ts';
import { announcements, throttled } from '../metrics.ts';
import type { Announcer } from './etcd-announcer.ts';
import { newBucket, type RateLimit, takeToken, untilToken } from './rate-limit.ts';

/** What the registry shows of one service: what it is told to show, as often as the rate limit allows. */
export interface Announcement {
  /**
   * Shows `instance`, or nothing. The first time that anything is shown, what an operator asked for, and a withdrawal
   * never wait for the rate limit: it is there to spare the registry, not to keep a sick instance in it.
   */
  show(instance: Instance | null, options?: { readonly operator?: boolean }): void;
  /** True while the rate limit holds back what was last told. */
  readonly held: boolean;
}

/** Looked at again at least this often, whatever the rate. Milliseconds. */
const longestWait = 3_600_000;

/** Starts with showing nothing and saying nothing. What waits is dropped when `signal` aborts. */
export function createAnnouncement(
  config: Pick<ServiceConfig, 'name' | 'key' | 'instance' | 'rateLimit'>,
  announcer: Pick<Announcer, 'announce' | 'withdraw'>,
  signal: AbortSignal,
): Announcement {
  const { name, key, rateLimit: limit } = config;
  if (Number.isFinite(limit.averageRate)) throttled.inc({ service: name, shadow: String(limit.shadow) }, 0);
  let bucket = newBucket(limit, clock.now());
  let everShown = false;
  let waiting: Instance | undefined;
  let timer: Timer | undefined;

  const drop = (): void => {
    clock.clearTimeout(timer);
    timer = undefined;
    waiting = undefined;
  };
  signal.addEventListener('abort', drop, { once: true });

  const announce = (instance: Instance): void => {
    everShown = true;
    announcements.inc({ service: name, action: 'announce' });
    announcer.announce(key, instance);
  };

  /** True when there was a token; it is gone then. */
  const take = (): boolean => {
    const left = takeToken(bucket, limit, clock.now());
    bucket = left ?? bucket;
    return left !== undefined;
  };

  const retry = (): void => {
    const instance = waiting;
    if (instance === undefined) return;
    if (take()) {
      drop();
      announce(instance);
    } else wait(instance, limit);
  };

  const wait = (instance: Instance, rate: RateLimit): void => {
    waiting = instance;
    timer = clock.setTimeout(retry, Math.min(Math.ceil(untilToken(bucket, rate, clock.now())), longestWait));
  };

  return {
    get held() {
      return waiting !== undefined;
    },
    show(instance, { operator = false } = {}) {
      if (signal.aborted) return;
      drop();
      const allowed = take();
      if (!allowed) throttled.inc({ service: name, shadow: String(limit.shadow) });
      if (instance === null) {
        announcements.inc({ service: name, action: 'withdraw' });
        announcer.withdraw(key, config.instance);
      } else if (allowed || limit.shadow || operator || !everShown) announce(instance);
      else wait(instance, limit);
    },
  };
}
