import { onAbort } from '../../common/async/abort.ts';
import { clock, type Timer } from '../../common/async/clock.ts';
import type { Instance } from '../../common/instance.ts';
import type { ServiceConfig } from '../config/service-config.ts';
import { announcements, throttled } from '../metrics.ts';
import type { Announcer } from './announcer.ts';
import { msUntilToken, newBucket, type TokenBucket, takeToken } from './token-bucket.ts';

/** The announcement tries for a token at least this often, whatever the rate. */
const maxWaitMs = 3_600_000;

/** What the registry shows of one service, changed no more often than the rate limit allows. Shows nothing at first. */
export class ThrottledAnnouncement {
  readonly #config: Pick<ServiceConfig, 'name' | 'key' | 'instance' | 'rateLimit'>;
  readonly #announcer: Pick<Announcer, 'announce' | 'withdraw'>;
  readonly #signal: AbortSignal;
  #bucket: TokenBucket;
  #announcedOnce = false;
  #waiting: Timer | undefined;

  /** An announcement that waits for a token is dropped when `signal` aborts. */
  constructor(
    config: Pick<ServiceConfig, 'name' | 'key' | 'instance' | 'rateLimit'>,
    announcer: Pick<Announcer, 'announce' | 'withdraw'>,
    signal: AbortSignal,
  ) {
    this.#config = config;
    this.#announcer = announcer;
    this.#signal = signal;
    this.#bucket = newBucket(config.rateLimit, clock.now());
    if (Number.isFinite(config.rateLimit.averageRate)) throttled.inc(this.#throttledLabels, 0);
    onAbort(signal, () => this.#dropWaiting());
  }

  /** True while the rate limit holds back the last change. */
  get heldBack(): boolean {
    return this.#waiting !== undefined;
  }

  /**
   * Shows `instance`, or nothing. The first announcement, an operator's request and a withdrawal never wait for the rate
   * limit: it spares the registry, and must not keep an unhealthy instance in it.
   */
  show(instance: Instance | null, { operator = false } = {}): void {
    if (this.#signal.aborted) return;
    this.#dropWaiting();
    const allowed = this.#takeToken();
    const { name, key, instance: own, rateLimit } = this.#config;
    if (!allowed) throttled.inc(this.#throttledLabels);
    if (instance === null) {
      announcements.inc({ service: name, action: 'withdraw' });
      this.#announcer.withdraw(key, own);
    } else if (allowed || rateLimit.shadow || operator || !this.#announcedOnce) this.#announce(instance);
    else this.#wait(instance);
  }

  #announce(instance: Instance): void {
    this.#announcedOnce = true;
    announcements.inc({ service: this.#config.name, action: 'announce' });
    this.#announcer.announce(this.#config.key, instance);
  }

  #wait(instance: Instance): void {
    const waitMs = Math.ceil(msUntilToken(this.#bucket, this.#config.rateLimit, clock.now()));
    const timer = clock.setTimeout(
      () => {
        if (!this.#takeToken()) return this.#wait(instance);
        this.#waiting = undefined;
        this.#announce(instance);
      },
      Math.min(waitMs, maxWaitMs),
    );
    this.#waiting = timer;
  }

  #dropWaiting(): void {
    clock.clearTimeout(this.#waiting);
    this.#waiting = undefined;
  }

  #takeToken(): boolean {
    const left = takeToken(this.#bucket, this.#config.rateLimit, clock.now());
    this.#bucket = left ?? this.#bucket;
    return left !== undefined;
  }

  get #throttledLabels() {
    return { service: this.#config.name, shadow: String(this.#config.rateLimit.shadow) };
  }
}
