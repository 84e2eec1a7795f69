import type { Instance } from '../../common/instance.ts';
import type { InstanceSet } from '../source.ts';

/** When instances that expire together are kept. */
export interface ExpiryGuard {
  /** More than this share of a service, 0 to 1. */
  readonly share: number;
  /** For how long, milliseconds. */
  readonly time: number;
}

/** An instance whose lease expired. */
export interface Expired {
  readonly instance: Instance;
  /** Milliseconds of `clock.now()`. */
  readonly at: number;
}

/** What the guard remembers of one service, and what it makes of its newest set. */
export interface Guarded {
  /** As the source published it. */
  readonly raw: InstanceSet;
  /** The same with the suspects. */
  readonly set: InstanceSet;
  /** Kept although their leases expired, by id. */
  readonly suspects: ReadonlyMap<string, Expired>;
  /** Expired a short time ago and not kept: part of the wave, should one come, by id. */
  readonly lately: ReadonlyMap<string, Expired>;
}

/** A service with fewer instances cannot tell a wave from an accident. */
const fewest = 3;
/**
 * Expiries within this time are one wave, milliseconds: leases of announcers that were cut off at the same moment end
 * up to a keepalive interval apart, and etcd revokes a thousand a second at most.
 */
const wave = 30_000;

/**
 * Keeps instances that expire in a wave: when most of a service loses its leases within seconds, it is etcd or the
 * network that failed, not most of the service, and HAProxy's own checks know better who is there. An instance that
 * comes back is no suspect any more, whatever it says then; one alone that expires is gone at once.
 */
export function guardExpiry(
  before: Guarded | undefined,
  raw: InstanceSet,
  guard: ExpiryGuard | undefined,
  now: number,
): Guarded {
  if (guard === undefined) return { raw, set: raw, suspects: none, lately: none };
  const present = new Set(raw.instances.map(({ id }) => id));
  const isGone = (id: string): boolean => !present.has(id) && raw.withdrawn?.has(id) !== true;
  const suspects = still(before?.suspects, (id, { at }) => isGone(id) && now < at + guard.time);
  const lately = still(before?.lately, (id, { at }) => isGone(id) && now < at + wave);
  const known = lately.size + suspects.size;
  for (const instance of before?.raw.instances ?? []) {
    if (instance.state !== 'down' && isGone(instance.id)) lately.set(instance.id, { instance, at: now });
  }
  const isWave = lately.size + suspects.size > known && exceeds(guard.share, raw, lately.size + suspects.size);
  if (isWave) {
    for (const [id, expired] of lately) suspects.set(id, expired);
    lately.clear();
  }
  return { raw, set: withSuspects(before?.set, raw, suspects), suspects, lately };
}

/** When the first of the suspects is given up, milliseconds of `clock.now()`; undefined when there is none. */
export function nextGivenUp({ suspects }: Guarded, guard: ExpiryGuard | undefined): number | undefined {
  let first: number | undefined;
  for (const { at } of suspects.values()) first = Math.min(first ?? at, at);
  return first === undefined || guard === undefined ? undefined : first + guard.time;
}

/**
 * What a previous process kept. Who went while no process watched may have said goodbye: nobody but the suspects of then
 * is kept for being gone now.
 */
export function restoredGuard(set: InstanceSet, suspects: ReadonlyMap<string, Expired>): Guarded {
  return { raw: { ...set, instances: [] }, set, suspects, lately: none };
}

const none: ReadonlyMap<string, Expired> = new Map();

function still(
  all: ReadonlyMap<string, Expired> | undefined,
  keep: (id: string, expired: Expired) => boolean,
): Map<string, Expired> {
  return new Map([...(all ?? [])].filter(([id, expired]) => keep(id, expired)));
}

function exceeds(share: number, { instances }: InstanceSet, expired: number): boolean {
  const total = instances.filter(({ state }) => state !== 'down').length + expired;
  return total >= fewest && expired / total > share;
}

/** The suspects at the places they had; those that had left already come last. */
function withSuspects(
  before: InstanceSet | undefined,
  raw: InstanceSet,
  suspects: ReadonlyMap<string, Expired>,
): InstanceSet {
  if (suspects.size === 0) return raw;
  const places = new Map(raw.instances.map(({ id }, index) => [id, index]));
  const instances: Instance[] = [];
  const sequence: number[] = [];
  let next = 0;
  const takeUpTo = (end: number): void => {
    for (; next < end; next += 1) {
      instances.push(raw.instances[next] as Instance);
      sequence.push(raw.sequence?.[next] ?? Number.POSITIVE_INFINITY);
    }
  };
  const left = new Map(suspects);
  const add = ({ instance }: Expired): void => {
    left.delete(instance.id);
    instances.push(instance);
    // A suspect does not lead while another one is there.
    sequence.push(Number.POSITIVE_INFINITY);
  };
  for (const { id } of before?.instances ?? []) {
    const suspect = left.get(id);
    if (suspect !== undefined) add(suspect);
    else takeUpTo((places.get(id) ?? -1) + 1);
  }
  takeUpTo(raw.instances.length);
  for (const suspect of left.values()) add(suspect);
  const { sequence: own, ...rest } = raw;
  return { ...rest, instances, ...(own !== undefined && { sequence }) };
}
