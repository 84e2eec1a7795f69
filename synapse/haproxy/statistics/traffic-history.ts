import type { Traffic } from './health-shape.ts';
import type { Counters } from './server-shape.ts';

/** What one backend did between two readings. */
export interface TrafficStep extends Pick<Traffic, 'requests' | 'failed' | 'server_errors' | 'retries'> {}

/** One reading of a process: what has happened since the reading before it. */
interface Reading {
  /** Milliseconds of `clock.now()`. */
  readonly from: number;
  readonly to: number;
  /** Backend → its step. Backends where nothing happened are left out. */
  readonly steps: ReadonlyMap<string, TrafficStep>;
}

/** How long a step counts, milliseconds. */
const windowMs = 60_000;

/** The counters of one HAProxy process as they were read one after the other: what happened in the last minute. */
export class TrafficHistory {
  #last: { readonly at: number; readonly counters: ReadonlyMap<string, Counters> } | undefined;
  #readings: readonly Reading[] = [];

  /** Takes a reading at `at` (milliseconds of `clock.now()`). Returns what has happened since the previous one, by backend. */
  take(counters: ReadonlyMap<string, Counters>, at: number): ReadonlyMap<string, TrafficStep> {
    const last = this.#last;
    this.#last = { at, counters };
    // What was counted before the first reading may be long ago.
    if (last === undefined) return new Map();
    const steps = new Map<string, TrafficStep>();
    for (const [backend, now] of counters) {
      const step = stepBetween(last.counters.get(backend), now);
      if (step !== undefined) steps.set(backend, step);
    }
    this.#readings = [...this.#readings, { from: last.at, to: at, steps }].filter(({ to }) => at - to < windowMs);
    return steps;
  }

  /** What became of the requests of a backend in the last minute; undefined when that was not counted. */
  of(backend: string, now: number): Traffic | undefined {
    const readings = this.#readings.filter(({ to }) => now - to < windowMs);
    const [first] = readings;
    const queued = this.#last?.counters.get(backend)?.queued;
    if (first === undefined || queued === undefined) return undefined;
    const sum = { requests: 0, failed: 0, server_errors: 0, retries: 0 };
    for (const { steps } of readings) {
      const step = steps.get(backend);
      if (step === undefined) continue;
      sum.requests += step.requests;
      sum.failed += step.failed;
      sum.server_errors += step.server_errors;
      sum.retries += step.retries;
    }
    return { seconds: Math.round(((readings.at(-1) ?? first).to - first.from) / 1000), ...sum, queued };
  }
}

/** Adds up what several processes did; undefined when there is none. */
export function sumTraffic([first, ...others]: readonly Traffic[]): Traffic | undefined {
  if (first === undefined) return undefined;
  return others.reduce(
    (a, b) => ({
      seconds: Math.max(a.seconds, b.seconds),
      requests: a.requests + b.requests,
      failed: a.failed + b.failed,
      server_errors: a.server_errors + b.server_errors,
      retries: a.retries + b.retries,
      queued: a.queued + b.queued,
    }),
    first,
  );
}

function stepBetween(before: Counters | undefined, now: Counters): TrafficStep | undefined {
  const was = totalsOf(before);
  const is = totalsOf(now);
  // A new worker counts from zero: all that it has counted is new.
  const isNewWorker = is.requests < was.requests || is.failed < was.failed;
  const since = isNewWorker ? totalsOf(undefined) : was;
  const step = {
    requests: is.requests - since.requests,
    failed: is.failed - since.failed,
    server_errors: Math.max(0, is.server_errors - since.server_errors),
    retries: Math.max(0, is.retries - since.retries),
  };
  return Object.values(step).every((value) => value === 0) ? undefined : step;
}

function totalsOf(counters: Counters | undefined): TrafficStep {
  const { requests, sessions = 0, errors = 0, failed = 0, retries = 0 } = counters ?? {};
  return { requests: requests ?? sessions, failed, server_errors: errors - failed, retries };
}
