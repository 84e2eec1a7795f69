import type { Instance } from '../../common/instance.ts';
import type { InstanceSet } from '../source.ts';

/** When the guard keeps instances whose leases expired. */
export interface ExpiryGuard {
  /** It keeps them when they are more than this share of their service, 0 to 1. */
  readonly share: number;
  /** How long it keeps them, in milliseconds. */
  readonly holdMs: number;
}

/** An instance whose lease expired. */
export interface Expired {
  readonly instance: Instance;
  /** When, in milliseconds of `clock.now()`. */
  readonly at: number;
}

/** Expired instances by id. */
export type ExpiredById = ReadonlyMap<string, Expired>;

/** What the guard remembers of one service, and what it makes of the newest set. */
export interface GuardState {
  /** The set as the source published it. */
  readonly raw: InstanceSet;
  /** The same set together with the suspects. */
  readonly set: InstanceSet;
  /** Instances that are kept although their leases expired. */
  readonly suspects: ExpiredById;
  /** Instances that expired within {@link waveMs} and were not kept; they are part of the wave if one comes. */
  readonly recent: ExpiredById;
}

/** A service with fewer instances is not guarded: one or two expiries may well be two crashes. */
const minInstances = 3;
/**
 * Expiries within this time are one wave, in milliseconds: leases of announcers that were cut off at the same moment end
 * up to a keepalive interval apart, and etcd revokes at most a thousand leases a second.
 */
const waveMs = 30_000;

/**
 * Keeps instances that expire in a wave. When most of a service loses its leases within seconds, etcd or the network
 * has failed, not most of the service; HAProxy's own checks know better which instances work. A suspect that comes back
 * is an ordinary instance again, in whatever state; a single instance that expires is dropped at once.
 */
export function guardExpiry(
  before: GuardState | undefined,
  raw: InstanceSet,
  { guard, now }: { readonly guard: ExpiryGuard | undefined; readonly now: number },
): GuardState {
  if (guard === undefined) return { raw, set: raw, suspects: none, recent: none };
  const present = new Set(raw.instances.map(({ id }) => id));
  const hasExpired = (id: string): boolean => !present.has(id) && raw.withdrawn?.has(id) !== true;
  const suspects = kept(before?.suspects, (id, { at }) => hasExpired(id) && now < at + guard.holdMs);
  const recent = kept(before?.recent, (id, { at }) => hasExpired(id) && now < at + waveMs);
  const known = recent.size + suspects.size;
  for (const instance of before?.raw.instances ?? []) {
    if (instance.state !== 'down' && hasExpired(instance.id)) recent.set(instance.id, { instance, at: now });
  }
  const expired = recent.size + suspects.size;
  if (expired > known && isWave(expired, raw, guard)) {
    for (const [id, one] of recent) suspects.set(id, one);
    recent.clear();
  }
  return { raw, set: withSuspects(before?.set, raw, suspects), suspects, recent };
}

/** When the hold of the first suspect ends, in milliseconds of `clock.now()`; undefined when there is no suspect. */
export function holdEnd({ suspects }: GuardState, guard: ExpiryGuard | undefined): number | undefined {
  let first = Number.POSITIVE_INFINITY;
  for (const { at } of suspects.values()) first = Math.min(first, at);
  return guard === undefined || suspects.size === 0 ? undefined : first + guard.holdMs;
}

/**
 * The state after a restart. An instance that left while synapse was down may have been withdrawn, so only the suspects
 * in the state file are kept.
 */
export function restoredGuard(set: InstanceSet, suspects: ExpiredById): GuardState {
  return { raw: { ...set, instances: [] }, set, suspects, recent: none };
}

const none: ExpiredById = new Map();

function kept(expired: ExpiredById | undefined, keep: (id: string, expired: Expired) => boolean): Map<string, Expired> {
  return new Map([...(expired ?? [])].filter(([id, one]) => keep(id, one)));
}

function isWave(expired: number, { instances }: InstanceSet, { share }: ExpiryGuard): boolean {
  const total = instances.filter(({ state }) => state !== 'down').length + expired;
  return total >= minInstances && expired / total > share;
}

/** Puts the suspects back where they were in the previous set; those that are in neither set come last. */
function withSuspects(before: InstanceSet | undefined, raw: InstanceSet, suspects: ExpiredById): InstanceSet {
  if (suspects.size === 0) return raw;
  const positions = new Map(raw.instances.map(({ id }, index) => [id, index]));
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
    // A suspect is not elected leader while another instance is there.
    sequence.push(Number.POSITIVE_INFINITY);
  };
  for (const { id } of before?.instances ?? []) {
    const suspect = left.get(id);
    if (suspect !== undefined) add(suspect);
    else takeUpTo((positions.get(id) ?? -1) + 1);
  }
  takeUpTo(raw.instances.length);
  for (const suspect of left.values()) add(suspect);
  const { sequence: own, ...rest } = raw;
  return { ...rest, instances, ...(own !== undefined && { sequence }) };
}
