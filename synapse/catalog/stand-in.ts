import type { InstanceSet } from '../source.ts';
import { type Announced, addressOf } from './announced.ts';

/**
 * The set that stands in for an empty one, without the instances whose addresses are announced for another service now: what
 * answers there is that service. The same object when there are none.
 */
export function withoutReused(
  service: string,
  set: InstanceSet,
  { byAddress }: Pick<Announced, 'byAddress'>,
): InstanceSet {
  const isKept = set.instances.map((instance) => {
    const announced = byAddress.get(addressOf(instance)) ?? [];
    return ![...announced].some((other) => other.service !== service);
  });
  if (!isKept.includes(false)) return set;
  const kept = <T>(all: readonly T[]): readonly T[] => all.filter((_, index) => isKept[index]);
  const { instances, leases, sequence } = set;
  return {
    ...set,
    instances: kept(instances),
    ...(leases !== undefined && { leases: kept(leases) }),
    ...(sequence !== undefined && { sequence: kept(sequence) }),
  };
}
