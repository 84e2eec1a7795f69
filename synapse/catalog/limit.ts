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
  const sequences = new Map(set?.instances.map((instance, index) => [instance, set.sequence?.[index]]));
  const ranks = instances.map((instance, index) => {
    const found = withoutOverride(instance);
    // The catalog gives lost instances that it keeps an infinite sequence.
    const sequence = sequences.get(found) ?? 0;
    return { index, sequence: sequences.has(found) && Number.isFinite(sequence) ? sequence : Number.NEGATIVE_INFINITY };
  });
  ranks.sort((a, b) => (a.sequence === b.sequence ? a.index - b.index : a.sequence - b.sequence));
  const kept = new Set(ranks.slice(0, most).map(({ index }) => index));
  return instances.filter((_, index) => kept.has(index));
}
