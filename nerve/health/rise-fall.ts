import { clock } from '../../common/async/clock.ts';
/** How many results in a row change a check's health. Both at least 1. */
export interface Thresholds {
  readonly rise: number;
  readonly fall: number;
}

/** A check's health and the results that led to it. Immutable. */
export interface Health {
  /** Undefined until the first result. */
  readonly up: boolean | undefined;
  /** The last max(rise, fall) results, oldest first. */
  readonly results: readonly boolean[];
  /** How many results there have been. */
  readonly probes: number;
}

export const unknownHealth: Health = { up: undefined, results: [], probes: 0 };

/**
 * Takes one result in. As in SmartStack: the very first result alone decides, and counts as if it had always been so;
 * after that `fall` failures in a row mean down and `rise` passes in a row mean up.
 */
export function nextHealth(health: Health, passed: boolean, { rise, fall }: Thresholds): Health {
  const size = Math.max(rise, fall);
  const probes = health.probes + 1;
  if (health.up === undefined) return { up: passed, results: new Array(size).fill(passed), probes };
  const results = [...health.results, passed].slice(-size);
  let { up } = health;
  if (!results.slice(-fall).includes(true)) up = false;
  if (!results.slice(-rise).includes(false)) up = true;
  return { up, results, probes };
}

/** How often a check probes. Milliseconds, counted from the end of one probe to the start of the next. */
export interface Pace {
  readonly interval: number;
  /** While results disagree with the health so far, so that a change is known sooner. */
  readonly fastInterval: number;
  /** Share of the pause by which it is made longer or shorter at random, 0 to 1. */
  readonly jitter: number;
}

/** A start is spread over the interval, but nobody waits longer than this for a first verdict. Milliseconds. */
const maxFirstPause = 500;

/** The pause before the first probe: hosts that start together do not all probe, and announce, at one instant. */
export function firstPause({ interval }: Pace, random: () => number = clock.random): number {
  return random() * Math.min(interval, maxFirstPause);
}

/**
 * The pause after a probe. The one after the very first is any part of the interval: starts are too close together to
 * keep a fleet out of step.
 */
export function nextPause(pace: Pace, health: Health, random: () => number = clock.random): number {
  const { interval, fastInterval, jitter } = pace;
  const usual = isChanging(health) ? fastInterval : interval;
  if (health.probes === 1) return random() * usual;
  return usual * (1 + jitter * (2 * random() - 1));
}

/** True while the last result says otherwise than the health that rise and fall still hold on to. */
function isChanging({ up, results }: Health): boolean {
  return up !== undefined && results.at(-1) !== up;
}
