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
}

export const unknownHealth: Health = { up: undefined, results: [] };

/**
 * Takes one result in. As in SmartStack: the very first result alone decides, and counts as if it had always been so;
 * after that `fall` failures in a row mean down and `rise` passes in a row mean up.
 */
export function nextHealth(health: Health, passed: boolean, { rise, fall }: Thresholds): Health {
  const size = Math.max(rise, fall);
  if (health.up === undefined) return { up: passed, results: new Array(size).fill(passed) };
  const results = [...health.results, passed].slice(-size);
  let { up } = health;
  if (!results.slice(-fall).includes(true)) up = false;
  if (!results.slice(-rise).includes(false)) up = true;
  return { up, results };
}
