import { clock } from '../../common/async/clock.ts';
import type { ProbePace } from '../config/check-config.ts';
import { type CheckHealth, isChanging } from './rise-fall.ts';

/** The first probe is spread over the interval, but comes within this time, so that a service is announced soon. */
const maxFirstPauseMs = 500;

/** Milliseconds before the first probe. They are random: hosts that start together must not probe and announce together. */
export function firstPause({ intervalMs }: ProbePace, random: () => number = clock.random): number {
  return random() * Math.min(intervalMs, maxFirstPauseMs);
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
