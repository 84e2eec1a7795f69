import type { Counter } from 'prom-client';
import type { Log } from '../log.ts';
import { counterLine, type Tags } from './line.ts';
import type { StatsdConfig } from './options.ts';
import { createStatsdSink, type StatsdSink } from './statsd.ts';

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
  const seen = new Map<string, number>();
  let config: StatsdConfig | undefined;
  let sink: StatsdSink | undefined;
  let timer: NodeJS.Timeout | undefined;
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
    for (const { counter, name, tags } of names.counters) {
      for (const { labels, value } of (await counter.get()).values) {
        const given = labels as Readonly<Record<string, string>>;
        const key = JSON.stringify([name, given]);
        const before = seen.get(key) ?? 0;
        if (value === before) continue;
        seen.set(key, value);
        const own = tags(given);
        // Below what it was: its service was away, and it began anew.
        if (own !== undefined) lines.push(...line(name, own, value > before ? value - before : value));
      }
    }
    return lines;
  };

  const round = async (): Promise<void> => {
    const lines = [...(await steps())];
    for (const [name, tags] of names.round()) lines.push(...line(name, tags, 1));
    sink?.send(lines);
  };

  return {
    configure(next) {
      if (next !== undefined && JSON.stringify(next) === JSON.stringify(config)) return;
      const first = complete && config === undefined;
      void sink?.end([]);
      clearInterval(timer);
      config = next;
      sink = next === undefined ? undefined : createStatsdSink(next, { log });
      if (next === undefined) {
        complete = false;
        return;
      }
      if (first) begun = line(`${names.program}.start`, {}, 1);
      if (!complete) void steps();
      complete = true;
      timer = setInterval(() => void round(), interval);
      timer.unref();
    },
    async end() {
      clearInterval(timer);
      const stop = line(`${names.program}.stop`, { stop_avenue: 'clean', stop_location: 'main_loop' }, 1);
      await sink?.end([...(await steps()), ...stop]);
      sink = undefined;
    },
  };
}
