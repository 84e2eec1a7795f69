import type { InstanceSet } from '../source.ts';
import type { Announced } from './announced.ts';
import {
  type EndedLoss,
  type ExpiryGuard,
  endOf,
  type Look,
  type LostById,
  type LostInstance,
} from './lost-instance.ts';

/** Everything that is lost, and the leases that were lost lately. Immutable. */
export interface LostState {
  /** Only services that have lost something. */
  readonly services: ReadonlyMap<string, LostById>;
  /** When each lease was lost; those of the last {@link waveMs}. */
  readonly leases: ReadonlyMap<string, number>;
}

/** What a look at a lost instance has shown. */
export interface LookResult {
  readonly service: string;
  /** Id of the instance. */
  readonly id: string;
  readonly look: Look;
}

/** Something that may change what is lost. `now` is in milliseconds of `clock.now()`. */
export type LostEvent = { readonly now: number } & (
  | {
      readonly type: 'set';
      readonly service: string;
      readonly before: InstanceSet | undefined;
      readonly set: InstanceSet;
    }
  | { readonly type: 'looked'; readonly looks: readonly LookResult[] }
  | { readonly type: 'time' }
  | { readonly type: 'configured' }
);

/** What the reducer has to know of the services; it changes nothing of it. */
export interface LostFacts {
  /** Undefined when there is no such service, or when it keeps nothing. */
  guardOf(service: string): ExpiryGuard | undefined;
  /** The newest set of the source; undefined before the first. */
  setOf(service: string): InstanceSet | undefined;
  /** What is announced now, over all services. */
  announced(): Announced;
}

/** What the edge does now. */
export type LostEffect =
  | { readonly type: 'look'; readonly service: string; readonly lost: LostInstance }
  | ({ readonly type: 'ended'; readonly service: string } & EndedLoss);

/** The state, and what to do now. */
export interface LostStep {
  readonly state: LostState;
  readonly effects: readonly LostEffect[];
}

/** Nothing is lost. */
export const nothingLost: LostState = { services: new Map(), leases: new Map() };

/**
 * Leases lost within this time are one wave, in milliseconds: leases of announcers that were cut off at the same moment
 * end up to a keepalive interval apart, and etcd revokes at most a thousand leases a second.
 */
export const waveMs = 30_000;

/** When something is due next, in milliseconds of `clock.now()`; undefined when nothing is. */
export function nextDue({ services }: LostState, facts: LostFacts): number | undefined {
  let due = Number.POSITIVE_INFINITY;
  for (const [service, lost] of services) {
    const guard = facts.guardOf(service);
    // Before its source has answered, nothing of a service is dropped.
    if (guard === undefined || facts.setOf(service) === undefined) continue;
    for (const one of lost.values()) {
      if (one.phase === 'left') due = Math.min(due, one.at + waveMs);
      else if (one.phase !== 'looking') due = Math.min(due, endOf(one, guard));
      if (one.lookAt !== null) due = Math.min(due, one.lookAt);
    }
  }
  return Number.isFinite(due) ? due : undefined;
}
