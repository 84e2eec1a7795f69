import type { Counter } from 'prom-client';
import { clock, type Timer } from '../async/clock.ts';
import { type Log, reasonOf } from '../daemon/log.ts';
import type { StatsdConfig } from './options.ts';
import { counterLine, createStatsdSink, type StatsdSink, type Tags } from './statsd.ts';

/** A counter of ours under a name of SmartStack. */
export interface StatsdCounter {
  readonly counter: Pick<Counter, 'get'>;
  readonly name: string;
  /** What SmartStack would have tagged it with; undefined: it did not count this. */
  tags(labels: Readonly<Record<string, string>>): Tags | undefined;
}

/** What one daemon reports. */
export interface StatsdNames {
  /** In front of the daemon's own names: `nerve.start`, `nerve.stop`. */
  readonly program: string;
  readonly counters: readonly StatsdCounter[];
  /** Counted once in each round, as the original does in its loop: whether each service is well. */
  readonly round: () => Iterable<readonly [name: string, tags: Tags]>;
}

/** Tells a StatsD server once a second by how much our counters went up. */
export interface StatsdReport {
  /** Where to from now on; undefined for nowhere. */
  configure(config: StatsdConfig | undefined): void;
  /** Tells the last steps, and that the program ends. */
  end(): Promise<void>;
}

/** SmartStack's loops go round once a second too; milliseconds. */
const interval = 1_000;

/** `names` are told beside Prometheus, from the same counters: nothing on the way of a change knows of it. */
export function createStatsdReport(names: StatsdNames, { log }: { readonly log: Log }): StatsdReport {
  let seen: ReadonlyMap<string, number> = new Map();
  let config: StatsdConfig | undefined;
  let sink: StatsdSink | undefined;
  let timer: Timer | undefined;
  /** From the beginning; or else what has been counted by then is no news. */
  let complete = true;
  /** Told with the next lines. */
  let begun: readonly string[] = [];

  const line = (name: string, tags: Tags, steps: number): string[] => {
    const rate = config?.sample_rate[name] ?? 1;
    return [counterLine(name, tags, { steps, rate }) ?? []].flat();
  };

  /** What happened since it was looked last, from the start on. */
  const steps = async (): Promise<readonly string[]> => {
    const lines: string[] = [...begun];
    begun = [];
    const now = new Map<string, number>();
    for (const { counter, name, tags } of names.counters) {
      for (const { labels, value } of (await counter.get()).values) {
        const given = labels as Readonly<Record<string, string>>;
        const key = JSON.stringify([name, given]);
        const before = seen.get(key) ?? 0;
        now.set(key, value);
        if (value === before) continue;
        const own = tags(given);
        // Below what it was: its service was away, and it began anew.
        if (own !== undefined) lines.push(...line(name, own, value > before ? value - before : value));
      }
    }
    // Only what is there: a service that comes back begins anew.
    seen = now;
    return lines;
  };

  /** Once for each reason: a round comes every second. */
  let complaint: string | undefined;
  const complain = (error: unknown): void => {
    const reason = reasonOf(error);
    if (reason !== complaint) log.warn('what statsd should be told cannot be read', { reason });
    complaint = reason;
  };

  /** One look after the other: of two at once, both would tell the same steps. */
  let looking: Promise<readonly string[]> = Promise.resolve([]);
  const look = (): Promise<readonly string[]> => {
    looking = looking.then(steps).catch((error) => {
      complain(error);
      return [];
    });
    return looking;
  };

  const round = async (): Promise<void> => {
    const lines = [...(await look())];
    try {
      for (const [name, tags] of names.round()) lines.push(...line(name, tags, 1));
    } catch (error) {
      complain(error);
    }
    sink?.send(lines);
  };

  return {
    configure(next) {
      if (next !== undefined && JSON.stringify(next) === JSON.stringify(config)) return;
      const first = complete && config === undefined;
      void sink?.end([]);
      clock.clearInterval(timer);
      config = next;
      sink = next === undefined ? undefined : createStatsdSink(next, { log });
      if (next === undefined) {
        complete = false;
        return;
      }
      if (first) begun = line(`${names.program}.start`, {}, 1);
      if (!complete) void look();
      complete = true;
      timer = clock.setInterval(() => void round(), interval);
      timer.unref();
    },
    async end() {
      clock.clearInterval(timer);
      const stop = line(`${names.program}.stop`, { stop_avenue: 'clean', stop_location: 'main_loop' }, 1);
      await sink?.end([...(await look()), ...stop]);
      sink = undefined;
    },
  };
}
