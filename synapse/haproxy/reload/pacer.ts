import { clock } from '../../../common/async/clock.ts';
import { retryDelayMs } from '../configfile/config-lifecycle.ts';
import type { HaproxyConfig } from '../options/config.ts';

/** The interval when the user gives none: SmartStack's. */
const defaultIntervalMs = 2_000;
/** Without an interval of the user's, this many reloads may follow each other at once after a quiet time. */
const defaultBurst = 2;
/** The minimum gap between two reloads, as a multiple of the duration of the first: a reload keeps a processor busy. */
const idleFactor = 3;

/** What a {@link ReloadPacer} takes from the machine. */
export interface PacerDeps {
  readonly now?: () => number;
  readonly random?: () => number;
}

/**
 * Says when the next reload may begin. A token bucket: one reload per `restart_interval`, which is lengthened by a random
 * part of it, up to `restart_jitter`. An interval that the user gives holds between any two reloads; with the default one,
 * a second reload may follow at once.
 */
export class ReloadPacer {
  readonly #intervalMs: number;
  readonly #jitter: number;
  readonly #burst: number;
  readonly #now: () => number;
  readonly #random: () => number;
  /** When each spent token comes back, oldest first. */
  #spent: readonly number[] = [];
  #restedAt = 0;
  #failures = 0;
  #retryAt = 0;

  constructor(
    config: Pick<HaproxyConfig, 'restart_interval' | 'restart_jitter'>,
    { now = () => clock.now(), random = clock.random }: PacerDeps = {},
  ) {
    this.#intervalMs = config.restart_interval ?? defaultIntervalMs;
    this.#jitter = config.restart_jitter;
    this.#burst = config.restart_interval === null ? defaultBurst : 1;
    this.#now = now;
    this.#random = random;
  }

  /** Milliseconds until a reload may begin; 0 when it may now. */
  get waitMs(): number {
    const pending = this.#pending();
    const tokenAt = pending.length < this.#burst ? 0 : (pending[pending.length - this.#burst] ?? 0);
    return Math.max(0, Math.max(this.#restedAt, tokenAt, this.#retryAt) - this.#now());
  }

  /** A reload has ended after `tookMs`. After failures in a row, the next one waits ever longer. */
  done(worked: boolean, tookMs = 0): void {
    const now = this.#now();
    this.#failures = worked ? 0 : this.#failures + 1;
    const pending = this.#pending();
    const from = this.#burst === 1 ? now : Math.max(now, pending.at(-1) ?? 0);
    this.#spent = [...pending, from + this.#intervalMs * (1 + this.#jitter * this.#random())];
    this.#restedAt = now + idleFactor * tookMs;
    this.#retryAt = worked ? now : now + retryDelayMs('load', this.#failures);
  }

  /** Forgets the failures so far; the interval holds all the same. */
  forget(): void {
    this.#failures = 0;
    this.#retryAt = 0;
  }

  #pending(): readonly number[] {
    return this.#spent.filter((back) => back > this.#now());
  }
}
