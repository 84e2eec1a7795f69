import type { InstanceSet } from '../source.ts';
import { type Announced, addressOf } from './announced.ts';
import { filterSet } from './filter-set.ts';

/**
 * The set that stands in for an empty one, without the instances whose addresses are announced for another service now: what
 * answers there is that service. The same object when there are none.
 */
export function withoutReused(
  service: string,
  set: InstanceSet,
  { byAddress }: Pick<Announced, 'byAddress'>,
): InstanceSet {
  return filterSet(set, (instance) => {
    const announced = byAddress.get(addressOf(instance)) ?? [];
    return ![...announced].some((other) => other.service !== service);
  });
}
