import type { World } from '../world.ts';

/** Something bad that begins, lasts and ends. */
export interface Fault {
  readonly name: string;
  /** Resolves when the fault is over, which is soon after `signal` aborted. @returns what happened; undefined: nothing */
  run(world: World, random: () => number, signal: AbortSignal): Promise<string | undefined>;
}

/** One of the list, by chance. */
export function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)] as T;
}

/** Milliseconds between `least` and `most`; short ones are likelier. */
export function between(least: number, most: number, random: () => number): number {
  return least + (most - least) * random() ** 2;
}
