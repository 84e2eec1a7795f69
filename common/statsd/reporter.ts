import type { Counter } from 'prom-client';
import { clock, type Timer } from '../async/clock.ts';
import { Mutex } from '../async/mutex.ts';
import { type Log, reasonOf } from '../daemon/log.ts';
import { counterLine, type Tags } from './line.ts';
import type { StatsdConfig } from './options.ts';
import { StatsdSink } from './sink.ts';

/** A Prometheus counter that StatsD gets under a name of SmartStack. */
export interface StatsdCounter {
  readonly counter: Pick<Counter, 'get'>;
  readonly name: string;
  /** The tags that SmartStack gave it; undefined for labels that SmartStack did not count. */
  tags(labels: Readonly<Record<string, string>>): Tags | undefined;
}

/** What one daemon reports. */
export interface StatsdNames {
  /** Prefix of the daemon's own names: `nerve` for `nerve.start` and `nerve.stop`. */
  readonly program: string;
  readonly counters: readonly StatsdCounter[];
  /** Counted once in each round, as SmartStack does in its main loop: the health of each service. */
  readonly round: () => Iterable<readonly [name: string, tags: Tags]>;
}

/** SmartStack's main loop also runs once a second. */
const intervalMs = 1_000;

/**
 * Sends to StatsD, once a second, by how much the Prometheus counters have grown. The code that counts knows nothing of
 * StatsD, so that no change on its way to HAProxy or etcd waits for it.
 */
export class StatsdReporter {
  readonly #names: StatsdNames;
  readonly #log: Log;
  /** One reading at a time: two at once would report the same steps. */
  readonly #reading = new Mutex();
  /** The counters' values at the last reading, by name and labels. */
  #values: ReadonlyMap<string, number> = new Map();
  #config: StatsdConfig | undefined;
  #sink: StatsdSink | undefined;
  #timer: Timer | undefined;
  /** False after the section was missing: what was counted until the next {@link configure} is not reported. */
  #isComplete = true;
  /** Lines to send with the next ones. */
  #waiting: readonly string[] = [];
  #lastReason: string | undefined;

  constructor(names: StatsdNames, { log }: { readonly log: Log }) {
    this.#names = names;
    this.#log = log;
  }

  /** Reports to this server from now on; undefined stops reporting. */
  configure(config: StatsdConfig | undefined): void {
    if (config !== undefined && JSON.stringify(config) === JSON.stringify(this.#config)) return;
    const isFirst = this.#isComplete && this.#config === undefined;
    void this.#sink?.end([]);
    clock.clearInterval(this.#timer);
    this.#config = config;
    this.#sink = config === undefined ? undefined : new StatsdSink(config, { log: this.#log });
    if (config === undefined) {
      this.#isComplete = false;
      return;
    }
    if (isFirst) this.#waiting = this.#lines(`${this.#names.program}.start`, {}, 1);
    // Reads the values that have been counted until now, and drops the lines.
    if (!this.#isComplete) void this.#read();
    this.#isComplete = true;
    this.#timer = clock.setInterval(() => void this.#round(), intervalMs);
    this.#timer.unref();
  }

  /** Sends the last steps and the counter `stop`. */
  async end(): Promise<void> {
    clock.clearInterval(this.#timer);
    const tags = { stop_avenue: 'clean', stop_location: 'main_loop' };
    const stop = this.#lines(`${this.#names.program}.stop`, tags, 1);
    await this.#sink?.end([...(await this.#read()), ...stop]);
    this.#sink = undefined;
  }

  async #round(): Promise<void> {
    const lines = [...(await this.#read())];
    try {
      for (const [name, tags] of this.#names.round()) lines.push(...this.#lines(name, tags, 1));
    } catch (error) {
      this.#complain(error);
    }
    this.#sink?.send(lines);
  }

  async #read(): Promise<readonly string[]> {
    try {
      return await this.#reading.run(() => this.#readSteps());
    } catch (error) {
      this.#complain(error);
      return [];
    }
  }

  /** One line for every counter that has grown since the last reading. */
  async #readSteps(): Promise<readonly string[]> {
    const lines: string[] = [...this.#waiting];
    this.#waiting = [];
    const values = new Map<string, number>();
    for (const { counter, name, tags } of this.#names.counters) {
      for (const { labels, value } of (await counter.get()).values) {
        const given = labels as Readonly<Record<string, string>>;
        const key = JSON.stringify([name, given]);
        const before = this.#values.get(key) ?? 0;
        values.set(key, value);
        if (value === before) continue;
        const own = tags(given);
        // A smaller value: the series was removed with its service, and a new one began at 0.
        if (own !== undefined) lines.push(...this.#lines(name, own, value > before ? value - before : value));
      }
    }
    // Keeps only series that exist: those of a service that comes back begin at 0.
    this.#values = values;
    return lines;
  }

  #lines(name: string, tags: Tags, steps: number): readonly string[] {
    const rate = this.#config?.sample_rate[name] ?? 1;
    const line = counterLine(name, tags, { steps, rate });
    return line === undefined ? [] : [line];
  }

  /** Logs each reason once: there is a round every second. */
  #complain(error: unknown): void {
    const reason = reasonOf(error);
    if (reason !== this.#lastReason) this.#log.warn('the metrics for statsd cannot be read', { reason });
    this.#lastReason = reason;
  }
}
