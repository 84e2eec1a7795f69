import { clock } from '../../common/async/clock.ts';
import type { ProbePace } from '../config/check-config.ts';
import { type CheckHealth, isChanging } from './rise-fall.ts';

/** The first probes come within this time, however many checks there are, so that services are announced soon. */
const maxSpreadMs = 500;

/** The first probes of a nerve are at least this far apart on average, milliseconds, while `maxSpreadMs` allows it. */
const spreadPerCheckMs = 5;

/**
 * Milliseconds over which the first probes of checks that start together are spread, so that many do not make a burst.
 * The only check of a nerve is not held up: no two processes of a fleet start at exactly the same time.
 */
export function firstSpread(checks: number): number {
  return Math.min(maxSpreadMs, spreadPerCheckMs * Math.max(0, checks - 1));
}

/** Milliseconds before the first probe of a check: any part of the spread, and at most one interval. */
export function firstPause(
  { intervalMs }: Pick<ProbePace, 'intervalMs'>,
  spreadMs: number,
  random: () => number = clock.random,
): number {
  return random() * Math.min(intervalMs, spreadMs);
}

/**
 * Milliseconds from the end of one probe to the start of the next. The pause after the very first probe is any part of
 * the interval: the first pauses are too short to keep the hosts of a fleet out of step.
 */
export function nextPause(pace: ProbePace, health: CheckHealth, random: () => number = clock.random): number {
  const { intervalMs, fastIntervalMs, jitter } = pace;
  const pause = isChanging(health) ? fastIntervalMs : intervalMs;
  if (health.probes === 1) return random() * pause;
  return pause * (1 + jitter * (2 * random() - 1));
}
