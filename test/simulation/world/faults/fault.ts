import type { World } from '../world.ts';

/** Something that goes wrong in a run, and what ends it. */
export interface Fault {
  /** A sentence, for reports. */
  readonly name: string;
  /** @returns what ends the fault; undefined when it cannot happen at this moment */
  begin(world: World): (() => void) | undefined;
}

/** Picks one value by the chance of the run. @returns undefined when there is none. */
export function pick<T>(world: World, from: readonly T[]): T | undefined {
  return from[Math.floor(world.scheduler.random() * from.length)];
}
