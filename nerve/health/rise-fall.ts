import type { Thresholds } from '../config/check-config.ts';

/** A check's health and the results that led to it. Immutable. */
export interface CheckHealth {
  /** Undefined until the first result. */
  readonly up: boolean | undefined;
  /** The last max(rise, fall) results, oldest first; true for a pass. */
  readonly results: readonly boolean[];
  /** Number of results so far. */
  readonly probes: number;
}

/** The health of a check without a result. */
export const unknownHealth: CheckHealth = { up: undefined, results: [], probes: 0 };

/**
 * The health after one more result. As in SmartStack, the first result alone decides, and counts as if all earlier
 * results had been the same; after that `fall` failures in a row mean down and `rise` passes in a row mean up.
 */
export function nextHealth(health: CheckHealth, passed: boolean, { rise, fall }: Thresholds): CheckHealth {
  const size = Math.max(rise, fall);
  const probes = health.probes + 1;
  if (health.up === undefined) return { up: passed, results: new Array(size).fill(passed), probes };
  const results = [...health.results, passed].slice(-size);
  let { up } = health;
  if (!results.slice(-fall).includes(true)) up = false;
  if (!results.slice(-rise).includes(false)) up = true;
  return { up, results, probes };
}

/** True while the last result contradicts the health that rise and fall still hold on to. */
export function isChanging({ up, results }: CheckHealth): boolean {
  return up !== undefined && results.at(-1) !== up;
}
