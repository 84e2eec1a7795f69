import type { Instance } from '../../common/instance.ts';
import type { InstanceSet } from '../source.ts';

/**
 * The set with those of its instances that pass, in the same order, each with its own lease, origin and number. The same
 * object when all pass.
 */
export function filterSet(set: InstanceSet, passes: (instance: Instance, index: number) => boolean): InstanceSet {
  const isKept = set.instances.map(passes);
  if (!isKept.includes(false)) return set;
  const kept = <T>(all: readonly T[]): readonly T[] => all.filter((_, index) => isKept[index]);
  const { instances, leases, origins, sequence } = set;
  return {
    ...set,
    instances: kept(instances),
    ...(leases !== undefined && { leases: kept(leases) }),
    ...(origins !== undefined && { origins: kept(origins) }),
    ...(sequence !== undefined && { sequence: kept(sequence) }),
  };
}
