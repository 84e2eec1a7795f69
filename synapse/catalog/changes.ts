import { differentPart } from '../../common/compare.ts';
import type { Instance } from '../../common/instance.ts';

/** The differences between two lists of instances, by id. */
export interface InstanceChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** In both lists, with other fields. */
  readonly changed: readonly string[];
}

/** Compares two lists in which equal instances are the same objects in the same order. */
export function changesBetween(before: readonly Instance[], after: readonly Instance[]): InstanceChanges {
  const { start, endBefore, endAfter } = differentPart(before, after);
  const left = new Map(before.slice(start, endBefore).map((instance) => [instance.id, instance]));
  const added: string[] = [];
  const changed: string[] = [];
  for (const instance of after.slice(start, endAfter)) {
    const known = left.get(instance.id);
    left.delete(instance.id);
    if (known === undefined) added.push(instance.id);
    else if (known !== instance) changed.push(instance.id);
  }
  return { added, removed: [...left.keys()], changed };
}
