import type { Instance } from '../../common/instance.ts';
import type { InstanceSet } from '../source.ts';
import { withoutOverride } from './port-override.ts';

/**
 * `max_instances` of a service without one: as many servers as one backend of HAProxy has been measured with, where adding one
 * takes up to 4 ms. More is a mistake, or a flood of announcements.
 */
export const usualMaxInstances = 10_000;

/**
 * At most `most` of the instances, in the same order: those that were announced first, and those that come first in the list
 * where the source knows no times. So one that is announced later never displaces another one. Default servers, which are not
 * in the set, and lost instances that are kept come before all others.
 */
export function withinLimit(
  instances: readonly Instance[],
  most: number | undefined,
  set: InstanceSet | undefined,
): readonly Instance[] {
  if (most === undefined || instances.length <= most) return instances;
  const ranks = ranksOf(instances, set);
  // Typed numbers, because a flood of announcements makes this the longest part of each change.
  const limit = Float64Array.from(ranks).sort()[most - 1] ?? 0;
  let ties = most - ranks.reduce((count, rank) => (rank < limit ? count + 1 : count), 0);
  return instances.filter((_, index) => {
    const rank = ranks[index] ?? 0;
    if (rank === limit) ties -= 1;
    return rank < limit || (rank === limit && ties >= 0);
  });
}

/** For each instance a number: smaller ones are used first. Without times the places in the list decide, which are ties. */
export function ranksOf(instances: readonly Instance[], set: InstanceSet | undefined): readonly number[] {
  const all = set?.instances ?? [];
  let next = 0;
  return instances.map((instance) => {
    const found = withoutOverride(instance);
    // Both lists have the same order, and default servers come last.
    let place = next;
    while (place < all.length && all[place] !== found) place += 1;
    if (place === all.length) return Number.NEGATIVE_INFINITY;
    next = place + 1;
    const sequence = set?.sequence?.[place] ?? 0;
    // The catalog gives lost instances that it keeps an infinite sequence.
    return Number.isFinite(sequence) ? sequence : Number.NEGATIVE_INFINITY;
  });
}
