import { isIP } from 'node:net';
import { differentPart } from '../../common/compare.ts';
import { type Instance, instanceId } from '../../common/instance.ts';
import type { OutputInstance } from '../output.ts';
import type { LeftOut, UnusableKind } from '../source.ts';
import { isWaiting, type KnownName } from './known-name.ts';

/** An instance that cannot be used because of its host. */
export interface Unusable extends LeftOut {
  readonly kind: UnusableKind;
}

/** Instances at their addresses. Immutable. */
export interface Placed {
  /** What was placed. */
  readonly candidates: readonly Instance[];
  /** All with IP addresses. The same list as `candidates` when all of those have one and may be used. */
  readonly instances: readonly OutputInstance[];
  readonly unusable: readonly Unusable[];
  /** The host names among the candidates. */
  readonly names: ReadonlySet<string>;
}

/** What {@link place} asks for. */
export interface PlaceFacts {
  /** What is known of a host name. */
  look(name: string): KnownName | undefined;
  /** The address of an instance with a host name before this process started, as far as it is known. */
  remembered(instance: Instance): string | undefined;
  /** Why traffic may not go to an instance, whose host is an IP address; null when it may. `candidate`: as it was found. */
  refusal(instance: Instance, candidate: Instance): string | null;
}

const noNames: ReadonlySet<string> = new Set();
const nothingUnusable: readonly Unusable[] = [];

/** No instances at all. */
export const nothingPlaced: Placed = { candidates: [], instances: [], unusable: nothingUnusable, names: noNames };

/**
 * Puts instances at their addresses: those with host names get an address in place of the name, and those without a usable
 * address are left out with the reason. `before`: what was placed with the same refusals last time; with it, one change among
 * thousands of instances with addresses costs a few microseconds.
 */
export function place(candidates: readonly Instance[], facts: PlaceFacts, before: Placed = nothingPlaced): Placed {
  if (before.candidates === before.instances && isPlainPart(before.candidates, candidates, facts)) {
    return { candidates, instances: candidates, unusable: nothingUnusable, names: noNames };
  }
  const instances: OutputInstance[] = [];
  const unusable: Unusable[] = [];
  const names = new Set<string>();
  for (const candidate of candidates) {
    const placed = placeOne(candidate, facts, names);
    if ('kind' in placed) unusable.push(placed);
    else instances.push(placed);
  }
  // Only an address in place of a name can make two ids equal.
  const kept = names.size === 0 ? instances : withoutDoubles(instances, unusable);
  if (names.size === 0 && unusable.length === 0) return { candidates, instances: candidates, unusable, names: noNames };
  return { candidates, instances: kept, unusable, names: names.size === 0 ? noNames : names };
}

/** Puts all instances with host names at one address, without looking them up. */
export function placeEverything(candidates: readonly Instance[], address: string): Placed {
  const look = (): KnownName => ({ address, reason: null, failures: 0 });
  return place(candidates, { look, remembered: () => undefined, refusal: () => null });
}

/** The id of an instance as its source found it: the name of its record. */
export function recordIdOf({ id, name, port, hostName }: OutputInstance): string {
  return hostName === undefined ? id : instanceId(name, hostName, port);
}

/** True when the instances that are not at the same places at both ends have addresses and may be used. */
function isPlainPart(before: readonly Instance[], after: readonly Instance[], { refusal }: PlaceFacts): boolean {
  const { start, endAfter } = differentPart(before, after);
  return after.slice(start, endAfter).every((one) => hasAddress(one) && refusal(one, one) === null);
}

function placeOne(candidate: Instance, facts: PlaceFacts, names: Set<string>): OutputInstance | Unusable {
  const { id, host } = candidate;
  if (hasAddress(candidate)) {
    const reason = facts.refusal(candidate, candidate);
    return reason === null ? candidate : { id, kind: 'refused', reason: `its address ${host} ${reason}` };
  }
  names.add(host);
  const known = facts.look(host);
  const address = known?.address ?? facts.remembered(candidate);
  if (address === undefined) {
    if (known === undefined || isWaiting(known)) {
      return { id, kind: 'waiting', reason: `its host name ${host} is being looked up` };
    }
    return { id, kind: 'unresolved', reason: `its host name ${host} cannot be resolved: ${known.reason}` };
  }
  const placed = atAddress(candidate, address);
  const reason = facts.refusal(placed, candidate);
  return reason === null ? placed : { id, kind: 'refused', reason: `the address ${address} of ${host} ${reason}` };
}

function withoutDoubles(instances: readonly OutputInstance[], unusable: Unusable[]): readonly OutputInstance[] {
  const ids = new Set<string>();
  return instances.filter((instance) => {
    const { id } = instance;
    if (!ids.has(id)) return ids.add(id);
    unusable.push({ id: recordIdOf(instance), kind: 'double', reason: `another instance is ${id} too` });
    return false;
  });
}

const addressed = new WeakMap<Instance, boolean>();

function hasAddress(instance: Instance): boolean {
  let known = addressed.get(instance);
  if (known === undefined) {
    known = isIP(instance.host) !== 0;
    addressed.set(instance, known);
  }
  return known;
}

const placedInstances = new WeakMap<Instance, OutputInstance>();

/**
 * The instance with an address in place of its host name. Its id follows from the address: a server of HAProxy has the same
 * address as long as it lives, so another address is another server. The same object as long as the address is the same.
 */
function atAddress(candidate: Instance, address: string): OutputInstance {
  let placed = placedInstances.get(candidate);
  if (placed?.host !== address) {
    const { name, host: hostName, port } = candidate;
    const id = instanceId(name || hostName.replace(/\.$/, ''), address, port);
    placed = Object.freeze({ ...candidate, id, host: address, hostName });
    placedInstances.set(candidate, placed);
  }
  return placed;
}
