import { type Instance, sameInstance } from '../../common/instance.ts';
import type { AddressPolicy } from '../addresses/addressing.ts';
import type { Placed, Unusable } from '../addresses/place.ts';
import type { OutputInstance } from '../output.ts';
import type { InstanceSet } from '../source.ts';
import { withCookieOwners } from './cookies.ts';
import { type LabelFilter, passesFilters } from './labels.ts';
import { withinLimit } from './limit.ts';
import type { ExpiryGuard } from './lost-instance.ts';
import { withoutOverride, withPort } from './port-override.ts';
import { type Preference, preferLocal } from './preference.ts';

/** A service's rules for selecting the instances to use among those that its source found. */
export interface Policy {
  readonly defaultServers: readonly Instance[];
  /** The default servers are always used, after the discovered instances. */
  readonly keepDefaultServers: boolean;
  /** An empty set changes nothing when there are no default servers. */
  readonly usePreviousBackends: boolean;
  /** Replaces the port of every discovered instance, and of default servers that are kept beside them. */
  readonly portOverride: number | undefined;
  readonly filters: readonly LabelFilter[];
  /** Only the oldest instance is used. */
  readonly leaderElection: boolean;
  /** More instances than this are left out; undefined: none is. */
  readonly maxInstances?: number | undefined;
  /** The networks in which instances may be; undefined: see `addresses/networks.ts`. */
  readonly instanceNetworks?: readonly string[] | undefined;
  /** Which instances come first; undefined: all are equal. */
  readonly prefer?: Preference | undefined;
  /** When instances whose leases are gone are kept; undefined: never. */
  readonly expiryGuard?: ExpiryGuard | undefined;
}

/** Where selected instances come from: the source, or a stand-in while the source has none. */
export type Origin = 'discovered' | 'previous' | 'defaults' | 'nothing';

/** The instances to use. */
export interface Selection {
  /** Unique by id; undefined while nothing is known and there is no stand-in. */
  readonly instances: readonly OutputInstance[] | undefined;
  readonly origin: Origin;
  /** How many instances are left out because of `maxInstances`; absent: none. */
  readonly overLimit?: number;
  /** Instances that would be used if their hosts could be. */
  readonly unusable: readonly Unusable[];
  /** The host names of the instances that are used, or would be. */
  readonly names: ReadonlySet<string>;
  /** What was placed of the newest set. */
  readonly placed: Placed | undefined;
}

const addressPolicies = new WeakMap<Policy, AddressPolicy>();

/** Which addresses the instances of a service may have: its default servers are the operator's own. */
export function addressPolicyOf(policy: Policy): AddressPolicy {
  let known = addressPolicies.get(policy);
  if (known === undefined) {
    const own = new Set(policy.defaultServers);
    const isTrusted = (candidate: Instance): boolean => own.has(withoutOverride(candidate));
    known = { networks: policy.instanceNetworks, isTrusted };
    addressPolicies.set(policy, known);
  }
  return known;
}

/** Puts instances at their addresses; see `addresses/place.ts`. */
export type Place = (candidates: readonly Instance[], before?: Placed) => Placed;

/** Leaves all instances where they are. */
export const placeAsFound: Place = (candidates) => ({
  candidates,
  instances: candidates,
  unusable: [],
  names: new Set(),
});

/**
 * Selects the instances to use from the newest set of the source (undefined: none yet) and the last set that was in
 * force. The order of the steps is SmartStack's: add default servers, override ports, drop duplicates (the first wins),
 * find a stand-in for an empty set, and apply label filters last, so that they apply to default servers too. A set of which
 * no instance has a usable address counts as empty.
 */
export function select(
  policy: Policy,
  set: InstanceSet | undefined,
  { previous, place = placeAsFound, before }: SelectFrom = {},
): Selection {
  const { defaultServers, usePreviousBackends } = policy;
  const tried: Placed[] = [];
  const attempt = (found: readonly Instance[], of: InstanceSet | undefined, origin: Origin): Selection | undefined => {
    if (found.length === 0) return undefined;
    const { candidates, overLimit } = narrow(policy, found, of);
    const placed = place(withCookieOwners(candidates, of), origin === 'discovered' ? before : undefined);
    tried.push(placed);
    if (candidates.length > 0 && placed.instances.length === 0) return undefined;
    const { prefer } = policy;
    const instances = prefer === undefined ? placed.instances : preferLocal(placed.instances, prefer);
    return { ...selectionOf(instances, origin, tried), ...(overLimit > 0 && { overLimit }) };
  };
  const discovered = set && attempt(gather(policy, set), set, 'discovered');
  if (discovered !== undefined) return discovered;
  // As SmartStack does: the port override is for discovered instances, not for their stand-ins.
  const defaults = attempt(unique(defaultServers), set, 'defaults');
  if (defaults !== undefined) return defaults;
  if (set !== undefined && !usePreviousBackends) return selectionOf([], 'discovered', tried);
  if (previous !== undefined && previous !== set) {
    const kept = attempt(gather(policy, previous), previous, 'previous');
    if (kept !== undefined) return kept;
  }
  return set === undefined ? selectionOf(undefined, 'nothing', tried) : selectionOf([], 'discovered', tried);
}

/** What {@link select} selects from beside the newest set. */
export interface SelectFrom {
  /** The last set that was in force. */
  readonly previous?: InstanceSet | undefined;
  /** Default: {@link placeAsFound}. */
  readonly place?: Place;
  /** {@link Selection.placed} of the last selection. */
  readonly before?: Placed | undefined;
}

function selectionOf(
  instances: readonly OutputInstance[] | undefined,
  origin: Origin,
  tried: readonly Placed[],
): Selection {
  const [first, ...others] = tried;
  if (first === undefined) return { instances, origin, unusable: [], names: noNames, placed: undefined };
  if (others.length === 0) {
    return { instances, origin, unusable: first.unusable, names: first.names, placed: first };
  }
  const names = new Set(tried.flatMap((placed) => [...placed.names]));
  return { instances, origin, unusable: tried.flatMap(({ unusable }) => unusable), names, placed: first };
}

const noNames: ReadonlySet<string> = new Set();

/** True for the same instances with the same fields, in any order. */
export function sameInstances(
  a: readonly OutputInstance[] | undefined,
  b: readonly OutputInstance[] | undefined,
): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  if (a.every((instance, index) => instance === b[index])) return true;
  const byId = new Map(a.map((instance) => [instance.id, instance]));
  return b.every((instance) => {
    const known = byId.get(instance.id);
    return sameInstance(known, instance) && known?.hostName === instance.hostName;
  });
}

/** The discovered instances that are not being withdrawn, and the default servers that are kept beside them. */
function gather(policy: Policy, set: InstanceSet): readonly Instance[] {
  const { defaultServers, keepDefaultServers, portOverride } = policy;
  const discovered = staying(set);
  if (!keepDefaultServers && (set.unique === true || discovered.length === 0) && portOverride === undefined) {
    return discovered;
  }
  const all = keepDefaultServers ? [...discovered, ...defaultServers] : discovered;
  const moved = portOverride === undefined ? all : all.map((instance) => withPort(instance, portOverride));
  return unique(moved, keepDefaultServers ? discovered.length : moved.length);
}

/** The instances that are not being withdrawn; the set's own list when that has no others. */
export function staying({ instances }: InstanceSet): readonly Instance[] {
  return instances.every(isStaying) ? instances : instances.filter(isStaying);
}

function isStaying({ state }: Instance): boolean {
  return state !== 'down';
}

/**
 * Of instances with one id, one: they would be one server in HAProxy. Of two with the same name and host the first is used. Two
 * with different ones have the same id because host names may have underscores (`a` on `b_c`, and `a_b` on `c`): then the
 * default server is used, or the one with the longer name. `configuredFrom`: the index of the first default server.
 */
function unique(instances: readonly Instance[], configuredFrom = 0): readonly Instance[] {
  const ids = new Set<string>();
  for (const { id } of instances) ids.add(id);
  if (ids.size === instances.length) return instances;
  const used = new Map<string, number>();
  const isConfigured = (index: number): boolean => index >= configuredFrom;
  for (const [index, instance] of instances.entries()) {
    const before = used.get(instance.id);
    const other = before === undefined ? undefined : instances[before];
    if (before === undefined || other === undefined) used.set(instance.id, index);
    else if (isSamePlace(other, instance)) continue;
    else if (isConfigured(before) !== isConfigured(index)) used.set(instance.id, Math.max(before, index));
    else if (instance.name.length > other.name.length) used.set(instance.id, index);
  }
  return instances.filter(({ id }, index) => used.get(id) === index);
}

/** True for the same name and host: with the same id, the port is the same too. */
export function isSamePlace(a: Instance, b: Instance): boolean {
  return a.name === b.name && a.host === b.host;
}

/** The instances that the rules leave, and how many `maxInstances` leaves out. */
function narrow(
  { filters, leaderElection, maxInstances }: Policy,
  instances: readonly Instance[],
  set: InstanceSet | undefined,
): { readonly candidates: readonly Instance[]; readonly overLimit: number } {
  const passed = filters.length === 0 ? instances : instances.filter((instance) => passesFilters(instance, filters));
  if (leaderElection) return { candidates: passed.slice(...leader(passed, set)), overLimit: 0 };
  const candidates = withinLimit(passed, maxInstances, set);
  return { candidates, overLimit: passed.length - candidates.length };
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
