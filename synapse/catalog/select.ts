import { type Instance, sameInstance } from '../../common/instance.ts';
import type { InstanceSet } from '../source.ts';
import type { ExpiryGuard } from './expiry-guard.ts';
import { type LabelFilter, passesFilters } from './labels.ts';
import { withoutOverride, withPort } from './port-override.ts';
import { type Preference, preferLocal } from './preference.ts';

/** A service's own rules for turning what its source found into what to balance over. */
export interface Policy {
  readonly defaultServers: readonly Instance[];
  /** Always add the default servers, after what was discovered. */
  readonly keepDefaultServers: boolean;
  /** An empty discovery changes nothing, when there are no default servers. */
  readonly usePreviousBackends: boolean;
  /** Replaces every discovered port, and those of default servers that are kept beside them. */
  readonly portOverride: number | undefined;
  readonly filters: readonly LabelFilter[];
  /** Only the instance that was there first. */
  readonly leaderElection: boolean;
  /** Local instances first; undefined: all alike. */
  readonly prefer?: Preference | undefined;
  /** Keeps instances that expire together; undefined: none. */
  readonly expiryGuard?: ExpiryGuard | undefined;
}

/** Where a selection comes from: the source; or what stands in while the source has nothing. */
export type Origin = 'discovered' | 'previous' | 'defaults' | 'nothing';

export interface Selection {
  /** Unique by id; undefined while nothing is known and nothing stands in. */
  readonly instances: readonly Instance[] | undefined;
  readonly origin: Origin;
}

/**
 * What to balance over, given the newest set of the source (undefined: none yet) and the last set that was in force.
 * The order of the steps is SmartStack's: default servers beside, port override, duplicates (the first wins), what
 * stands in for an empty discovery, and label filters last, so that they apply to default servers too.
 */
export function select(policy: Policy, set: InstanceSet | undefined, previous: InstanceSet | undefined): Selection {
  const { defaultServers, usePreviousBackends } = policy;
  if (set !== undefined) {
    const found = gather(policy, set);
    if (found.length > 0) return { instances: narrow(policy, found, set), origin: 'discovered' };
  }
  // As SmartStack does: the port override is for discovered instances, not for what stands in for them.
  if (defaultServers.length > 0) return { instances: narrow(policy, unique(defaultServers), set), origin: 'defaults' };
  if (set !== undefined && !usePreviousBackends) return { instances: [], origin: 'discovered' };
  if (previous !== undefined && previous !== set) {
    const found = gather(policy, previous);
    if (found.length > 0) return { instances: narrow(policy, found, previous), origin: 'previous' };
  }
  return set === undefined ? { instances: undefined, origin: 'nothing' } : { instances: [], origin: 'discovered' };
}

/** Same instances with the same fields, in any order: nothing to do for anyone. */
export function sameInstances(a: readonly Instance[] | undefined, b: readonly Instance[] | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  if (a.every((instance, index) => instance === b[index])) return true;
  const byId = new Map(a.map((instance) => [instance.id, instance]));
  return b.every((instance) => sameInstance(byId.get(instance.id), instance));
}

/** What was discovered and is not about to vanish, with the default servers that are kept beside it. */
function gather(policy: Policy, set: InstanceSet): readonly Instance[] {
  const { defaultServers, keepDefaultServers, portOverride } = policy;
  const discovered = set.instances.every(isStaying) ? set.instances : set.instances.filter(isStaying);
  if (!keepDefaultServers && (set.unique === true || discovered.length === 0) && portOverride === undefined) {
    return discovered;
  }
  const all = keepDefaultServers ? [...discovered, ...defaultServers] : discovered;
  return unique(portOverride === undefined ? all : all.map((instance) => withPort(instance, portOverride)));
}

function isStaying({ state }: Instance): boolean {
  return state !== 'down';
}

/** Two instances with the same name, host and port are one; the first stands for both. */
function unique(instances: readonly Instance[]): readonly Instance[] {
  const ids = new Set<string>();
  for (const { id } of instances) ids.add(id);
  if (ids.size === instances.length) return instances;
  return instances.filter(({ id }) => ids.delete(id));
}

function narrow(policy: Policy, instances: readonly Instance[], set: InstanceSet | undefined): readonly Instance[] {
  const { filters, leaderElection, prefer } = policy;
  const passed = filters.length === 0 ? instances : instances.filter((instance) => passesFilters(instance, filters));
  if (leaderElection) return passed.slice(...leader(passed, set));
  return prefer === undefined ? passed : preferLocal(passed, prefer);
}

/** Start and end of the leader in the list: the smallest sequence; without any, the first of the list. */
function leader(instances: readonly Instance[], set: InstanceSet | undefined): [number, number] {
  const sequences = new Map(set?.instances.map((instance, index) => [instance, set.sequence?.[index]]));
  let best = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (const [index, instance] of instances.entries()) {
    const sequence = sequences.get(withoutOverride(instance)) ?? Number.POSITIVE_INFINITY;
    if (sequence < smallest) {
      smallest = sequence;
      best = index;
    }
  }
  return [best, best + 1];
}
