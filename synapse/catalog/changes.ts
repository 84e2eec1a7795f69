import type { Instance } from '../../common/instance.ts';

/** The differences between two lists of instances, by id. */
export interface InstanceChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** In both lists, with other fields. */
  readonly changed: readonly string[];
}

/**
 * Compares two lists. It skips the equal begin and end first: equal instances are the same objects in the same order, so
 * that one change among thousands costs microseconds.
 */
export function changesBetween(before: readonly Instance[], after: readonly Instance[]): InstanceChanges {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;

  const left = new Map(before.slice(start, before.length - end).map((instance) => [instance.id, instance]));
  const added: string[] = [];
  const changed: string[] = [];
  for (const instance of after.slice(start, after.length - end)) {
    const known = left.get(instance.id);
    left.delete(instance.id);
    if (known === undefined) added.push(instance.id);
    else if (known !== instance) changed.push(instance.id);
  }
  return { added, removed: [...left.keys()], changed };
}
