import { backoffMs } from '../async/backoff.ts';
import { clock, type Timer } from '../async/clock.ts';
import type { Log, LogFields } from './log.ts';

/** What is said of a trouble. */
export interface TroubleTexts {
  readonly begins: string;
  readonly goesOn: string;
  readonly ends: string;
  /** The field with how many have it, `keys`; the lines also name the first of them. Without it, one thing alone has it. */
  readonly counts?: string;
  /** Default `warn`. */
  readonly level?: 'warn' | 'error';
}

/** Milliseconds between the lines of one trouble. */
export const troubleTimes = {
  /** Those that get it together are told of together. */
  gatherMs: 200,
  /** It is over once it has been over for this long; twice as long each time that it comes back soon. */
  calmMs: 10_000,
  /** A trouble that lasts is told of again. One that comes back within this time is the same. */
  remindEveryMs: 300_000,
} as const;

/** Where one trouble is: `brewing` before its first line, `calming` when the last one that had it is well again. */
type Phase = 'none' | 'brewing' | 'ongoing' | 'calming';

/**
 * Logs a trouble that many may have at the same time, and that may come and go: one line when it begins, one when it ends,
 * and a reminder every five minutes. One that many may have and that is over within 200 ms is not worth a line.
 */
export class TroubleLog {
  readonly #log: Log;
  readonly #texts: TroubleTexts;
  /** Who has it now, in the order in which they got it, with the fields of the last failure. */
  readonly #having = new Map<string, LogFields>();
  #phase: Phase = 'none';
  #timer: Timer | undefined;
  #beganAt = 0;
  #endedAt = Number.NEGATIVE_INFINITY;
  /** How often in a row it came back soon after its end. */
  #returns = 0;

  constructor(texts: TroubleTexts, { log }: { readonly log: Log }) {
    this.#texts = texts;
    this.#log = log;
  }

  /** Says that `name` has the trouble, or has it again. */
  add(name: string, fields: LogFields): void {
    this.#having.set(name, fields);
    if (this.#phase === 'none') this.#begin();
    else if (this.#phase === 'calming') this.#goOn();
  }

  /** Says that `name` does not have it, or no longer. */
  remove(name: string): void {
    if (!this.#having.delete(name) || this.#having.size > 0) return;
    if (this.#phase === 'brewing') this.#move('none');
    else if (this.#phase === 'ongoing') this.#move('calming', this.#calmMs, () => this.#end());
  }

  get #calmMs(): number {
    return backoffMs({ baseMs: troubleTimes.calmMs, maxMs: troubleTimes.remindEveryMs }, this.#returns);
  }

  #begin(): void {
    if (this.#texts.counts === undefined) this.#first();
    else this.#move('brewing', troubleTimes.gatherMs, () => this.#first());
  }

  #first(): void {
    const now = clock.now();
    this.#returns = now - this.#endedAt < troubleTimes.remindEveryMs ? this.#returns + 1 : 0;
    this.#beganAt = now;
    this.#say(this.#texts.begins);
    this.#goOn();
  }

  #goOn(): void {
    this.#move('ongoing', troubleTimes.remindEveryMs, () => {
      this.#say(this.#texts.goesOn, { minutes: Math.round((clock.now() - this.#beganAt) / 60_000) });
      this.#goOn();
    });
  }

  #end(): void {
    this.#endedAt = clock.now();
    this.#move('none');
    this.#log.info(this.#texts.ends, { seconds: Math.round((this.#endedAt - this.#beganAt - this.#calmMs) / 1_000) });
  }

  #say(text: string, more: LogFields = {}): void {
    const [first = '', fields = {}] = this.#having.entries().next().value ?? [];
    const { counts, level = 'warn' } = this.#texts;
    const shared = counts === undefined ? {} : { [counts]: this.#having.size, first };
    this.#log[level](text, { ...shared, ...fields, ...more });
  }

  /** Enters a phase, which lasts until something happens or `then` is called. */
  #move(phase: Phase, afterMs = 0, then?: () => void): void {
    clock.clearTimeout(this.#timer);
    this.#phase = phase;
    this.#timer = then && clock.setTimeout(then, afterMs);
    this.#timer?.unref();
  }
}
