import { countsFor } from '../../common/etcd/records/key-level.ts';
import type { Instance } from '../../common/instance.ts';
import type { Departure, InstanceSet } from '../source.ts';
import { filterSet } from './filter-set.ts';

/** What synapse does with lost instances: their leases are gone, and they were not withdrawn. */
export interface ExpiryGuard {
  /** Lost leases are a wave when they are more than this share of a service, 0 to 1. */
  readonly share: number;
  /** How long a lost instance that answers is held, in milliseconds: a wave may follow. */
  readonly holdMs: number;
  /** How long a suspect is kept at most, in milliseconds. */
  readonly suspectMs: number;
}

/** What one look at an instance from this host has shown. */
export interface Look {
  /** `answers`: a TCP connection was accepted; `refused`: it was refused; `silent`: nothing came within the deadline. */
  readonly answer: 'answers' | 'refused' | 'silent';
  /** The look failed, and one at an instance that is well failed too: from this host, looks say nothing. */
  readonly isBlind: boolean;
  /** HAProxy's own check; `unknown` where it does not check the server or does not answer. */
  readonly server: 'up' | 'down' | 'unknown';
}

/** What a look that failed has shown. */
export function failureText({ answer }: Look): string {
  return answer === 'refused' ? 'it refuses connections' : 'it does not answer';
}

/**
 * - `looking`: kept until the first look.
 * - `held`: it answers; kept for a short time, because a wave may follow.
 * - `suspect`: part of a wave; kept until something ends it.
 * - `left`: no longer kept; remembered, because it counts as part of a wave that follows.
 */
export type LostPhase = 'looking' | 'held' | 'suspect' | 'left';

/** An instance whose lease is gone. */
export interface LostInstance {
  readonly instance: Instance;
  /** etcd's id as text; where the source knows none, the host of the instance stands for it. */
  readonly lease: string;
  /** When its announcement appeared (`InstanceSet.sequence`); undefined where that is not known. */
  readonly sequence?: number | undefined;
  /** The key that announced it; null where the source knows no keys. */
  readonly key: string | null;
  /** When it was lost, in milliseconds of `clock.now()`, like all times here. */
  readonly at: number;
  readonly phase: LostPhase;
  /** The last look; null before the first. */
  readonly look: Look | null;
  /** When that was; null before the first. */
  readonly lookedAt: number | null;
  /** Failed looks in a row. */
  readonly failures: number;
  /** When to look next; null while no look is due. */
  readonly lookAt: number | null;
  /** When its announcer was seen to be back under another lease; null while it was not. */
  readonly backAt: number | null;
}

/** Lost instances of one service, by id. */
export type LostById = ReadonlyMap<string, LostInstance>;

/** No instance is lost. */
export const noneLost: LostById = new Map();

/** An instance that is no longer kept. */
export interface EndedLoss {
  readonly lost: LostInstance;
  /** Why it is not kept. */
  readonly reason: string;
  /** It answered to the last: its announcer alone died. */
  readonly answered: boolean;
  readonly how: Departure;
}

/** How a loss begins. */
export const newlyLost = {
  phase: 'looking',
  look: null,
  lookedAt: null,
  failures: 0,
  lookAt: null,
  backAt: null,
} as const;

/** True while outputs have the instance. */
export function isKept({ phase }: LostInstance): boolean {
  return phase !== 'left';
}

/** True for a part of a wave. */
export function isSuspect({ phase }: LostInstance): boolean {
  return phase === 'suspect';
}

/** How many of them are parts of a wave. */
export function suspectsIn(lost: LostById): number {
  let count = 0;
  for (const one of lost.values()) if (isSuspect(one)) count += 1;
  return count;
}

/** Those that outputs still have. */
export function keptOf(lost: LostById): LostById {
  return new Map([...lost].filter(([, one]) => isKept(one)));
}

/** When a lost instance is given up at the latest, in milliseconds of `clock.now()`. */
export function endOf({ phase, at, backAt }: LostInstance, { holdMs, suspectMs }: ExpiryGuard): number {
  const end = at + (phase === 'suspect' ? suspectMs : holdMs);
  return phase === 'suspect' && backAt !== null ? Math.min(end, backAt + holdMs) : end;
}

/**
 * True when what `key` says counts for an instance that was announced at `own`: a deeper key says nothing of it. Null, also
 * undefined: not known; that counts.
 */
export function counts(key: string | null | undefined, own: string | null): boolean {
  return key === null || key === undefined || own === null || countsFor(key, own);
}

/** True when `said` names the instance, and not from a deeper key than its `own`. */
export function says(said: ReadonlyMap<string, string | null> | undefined, id: string, own: string | null): boolean {
  return said?.has(id) === true && counts(said.get(id), own);
}

/**
 * Puts the kept instances back where they were in the previous set; those that are in neither set come last. They replace
 * what deeper keys say of them.
 */
export function withKept(before: InstanceSet | undefined, newest: InstanceSet, kept: LostById): InstanceSet {
  if (kept.size === 0) return newest;
  const raw = filterSet(newest, ({ id }) => !kept.has(id));
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
  const left = new Map(kept);
  const add = ({ instance }: LostInstance): void => {
    left.delete(instance.id);
    instances.push(instance);
    // A lost instance is not elected leader while another one is there.
    sequence.push(Number.POSITIVE_INFINITY);
  };
  for (const { id } of before?.instances ?? []) {
    const lost = left.get(id);
    if (lost !== undefined) add(lost);
    else takeUpTo((positions.get(id) ?? -1) + 1);
  }
  takeUpTo(raw.instances.length);
  for (const lost of left.values()) add(lost);
  const { sequence: own, leases: _, origins: __, ...rest } = raw;
  return { ...rest, instances, ...(own !== undefined && { sequence }) };
}
