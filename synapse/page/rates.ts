import type { Counters } from '../haproxy/statistics/server-shape.ts';
import { formatRate } from './words.ts';

/** Points of a plot: two minutes, at one point every two seconds. */
const plotPoints = 60;

/** The counters that rates are made of. */
export type Counted = Pick<Counters, 'requests' | 'sessions' | 'errors'>;

/** Requests and errors per second. */
export interface Rates {
  /** Requests per second at each reading, the newest last. */
  readonly history: readonly number[];
  /** Requests per second at the newest reading; undefined before the second one. */
  readonly requests: number | undefined;
  readonly errors: number;
}

interface Reading {
  /** Milliseconds of `performance.now()`. */
  readonly at: number;
  readonly requests: number;
  readonly errors: number;
  readonly history: readonly number[];
  readonly errorRate: number;
}

/** Rates from counters that only grow, and start at zero with each HAProxy worker. */
export class RateMeter {
  readonly #readings = new Map<string, Reading>();

  /** Takes the counters of one service or server, read at `at` (milliseconds of `performance.now()`). */
  read(key: string, counters: Counted, at: number): void {
    const requests = counters.requests ?? counters.sessions;
    const last = this.#readings.get(key);
    const reading = { at, requests, errors: counters.errors };
    const seconds = last === undefined ? 0 : (at - last.at) / 1000;
    if (last === undefined || seconds <= 0) {
      this.#readings.set(key, { ...reading, history: last?.history ?? [], errorRate: 0 });
      return;
    }
    // A new worker counts from zero: everything it has counted is new.
    const rate = (requests >= last.requests ? requests - last.requests : requests) / seconds;
    const errorRate = Math.max(0, counters.errors - last.errors) / seconds;
    this.#readings.set(key, { ...reading, history: [...last.history, rate].slice(-plotPoints), errorRate });
  }

  /** The rates of one service or server. */
  of(key: string): Rates {
    const reading = this.#readings.get(key);
    return {
      history: reading?.history ?? [],
      requests: reading?.history.at(-1),
      errors: reading?.errorRate ?? 0,
    };
  }
}

/** Seconds between two points of a plot. */
const secondsPerPoint = 2;

/** What a plot shows, in words: its time range and its scale, or the value at the pointer, which is at this share of its width. */
export function plotWords(values: readonly number[], at?: number): string {
  if (values.length < 2) return 'two minutes';
  if (at === undefined) return `two minutes, at most ${formatRate(Math.max(...values))}/s`;
  const index = Math.round(at * (plotPoints - 1)) - (plotPoints - values.length);
  const value = values[index];
  if (value === undefined) return 'not known yet';
  const seconds = (values.length - 1 - index) * secondsPerPoint;
  return `${formatRate(value)}/s, ${seconds === 0 ? 'now' : `${seconds} s ago`}`;
}

const svgNamespace = 'http://www.w3.org/2000/svg';

/** A small plot, scaled to its own highest value. The text beside it says the same, so screen readers skip it. */
export function plot(values: readonly number[]): SVGElement {
  const svg = document.createElementNS(svgNamespace, 'svg');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', `0 0 ${plotPoints - 1} 20`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(svgNamespace, 'path');
  path.setAttribute('d', pathOf(values));
  svg.append(path);
  return svg;
}

function pathOf(values: readonly number[]): string {
  if (values.length < 2) return '';
  const top = Math.max(...values, 1);
  const first = plotPoints - values.length;
  return values
    .map((value, index) => `${index === 0 ? 'M' : 'L'}${first + index} ${(19 - (value / top) * 18).toFixed(1)}`)
    .join('');
}
