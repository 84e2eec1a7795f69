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
