import { isDeepStrictEqual } from 'node:util';
import { clock } from '../../common/async/clock.ts';
import type { Published } from '../../common/published.ts';
import type { ServiceState, Snapshot } from '../output.ts';
import type { InstanceSet } from '../source.ts';
import { type ExpiredById, type GuardState, guardExpiry, holdEnd, restoredGuard } from './expiry-guard.ts';
import { effectiveConfig, type PublishableConfig } from './published.ts';
import { type Origin, type Policy, sameInstances, select } from './select.ts';

/** What the catalog needs to know of a service's configuration. */
export interface CatalogService extends PublishableConfig {
  readonly policy: Policy;
}

/** What the catalog has of one service. Immutable. */
export interface CatalogEntry {
  readonly service: CatalogService;
  /** What outputs are given. */
  readonly state: ServiceState;
  /** The newest set of the source in this process; undefined before its first answer. */
  readonly set: InstanceSet | undefined;
  /** The set in force. Where an empty set changes nothing, the newest that was not empty; at first that of the state file. */
  readonly lastGood: InstanceSet | undefined;
  readonly origin: Origin | 'cache';
  /** What the expiry guard makes of the newest set. */
  readonly guarded: GuardState | undefined;
  /** The published configuration that is in force. */
  readonly published: Published | undefined;
  /** Why the newest published configuration is not in force; null when it is, or when there is none. */
  readonly refused: string | null;
  /** When the instances last changed, in milliseconds of `clock.wallTime()`; null while nothing is known. */
  readonly changedAt: number | null;
  /** When the source first answered in this process, in milliseconds of `clock.wallTime()`; null before that. */
  readonly answeredAt: number | null;
}

/** What a previous process knew of one service. */
export interface Restored {
  readonly set: InstanceSet;
  readonly published?: Published | undefined;
  readonly suspects?: ExpiredById | undefined;
}

/** What a call did to one service. */
export interface CatalogChange {
  readonly service: string;
  /** Outputs have something to do. */
  readonly stateChanged: boolean;
  readonly suspectsBefore: ExpiredById;
  readonly suspects: ExpiredById;
  /** When the expiry guard gives up its first suspect, in milliseconds of `clock.now()`: call {@link Catalog.refresh} then. */
  readonly holdEnd: number | undefined;
  /** Why the newest published configuration is refused, when that is new; otherwise null. */
  readonly newlyRefused: string | null;
}

const noSuspects: ExpiredById = new Map();

/**
 * The last good set of every service, and what follows from it. Failures never reach it: a source that fails publishes
 * nothing, and its last set stays in force.
 */
export class Catalog {
  #entries = new Map<string, CatalogEntry>();
  /** Services with a new source that has not answered yet, while their sets are of the former one. */
  readonly #replaced = new Set<string>();

  /** Takes the services of a new configuration, in its order. Returns what changed, removed services included. */
  configure(services: ReadonlyMap<string, CatalogService>): readonly CatalogChange[] {
    const before = this.#entries;
    const changes: CatalogChange[] = [];
    this.#entries = new Map();
    for (const [name, service] of services) {
      const known = before.get(name);
      const entry = known?.service === service ? known : reconfigured(name, service, known);
      this.#entries.set(name, entry);
      if (entry !== known) changes.push(changeOf(name, known, entry));
    }
    for (const [name, known] of before) if (!services.has(name)) changes.push(changeOf(name, known, undefined));
    return changes;
  }

  /** Takes what a previous process knew: in force until the source answers. Ignored when it has answered already. */
  restore(name: string, { set, published, suspects }: Restored): void {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.set !== undefined) return;
    const guarded = suspects && restoredGuard(set, suspects);
    const known = { ...entry, lastGood: set, published, guarded };
    this.#entries.set(name, evaluate(name, entry.service, { known, seenAt: set.seenAt }));
  }

  /** Takes a source's newest set. Returns what it changed; undefined when there is no such service. */
  update(name: string, set: InstanceSet): CatalogChange | undefined {
    const known = this.#entries.get(name);
    if (known === undefined) return undefined;
    const raw = this.#replaced.delete(name) ? firstOfReplacement(known.guarded?.raw, set) : set;
    return this.#take(name, known, { raw, seenAt: set.seenAt });
  }

  /** A service gets another source, which looks elsewhere: instances that it does not find did not expire. */
  sourceReplaced(name: string): void {
    this.#replaced.add(name);
  }

  /** Drops suspects that were held long enough. Returns what that changed; undefined when the service has no suspect. */
  refresh(name: string): CatalogChange | undefined {
    const known = this.#entries.get(name);
    // Before the source has answered, everything comes from the state file: nothing of it is dropped.
    if (known?.guarded === undefined || known.set === undefined) return undefined;
    return this.#take(name, known, { raw: known.guarded.raw, seenAt: clock.now() });
  }

  #take(
    name: string,
    known: CatalogEntry,
    { raw, seenAt }: { readonly raw: InstanceSet; readonly seenAt: number },
  ): CatalogChange {
    const guard = known.service.policy.expiryGuard;
    const guarded = guardExpiry(known.guarded, raw, { guard, now: clock.now() });
    const entry = evaluate(name, known.service, { known: { ...known, guarded, set: guarded.set }, seenAt });
    this.#entries.set(name, entry);
    return changeOf(name, known, entry);
  }

  /** All services at this moment, in the order of the configuration. Later changes do not show in it. */
  snapshot(): Snapshot {
    const states = new Map<string, ServiceState>();
    for (const [name, { state }] of this.#entries) states.set(name, state);
    return states;
  }

  /** What is known of one service at this moment. */
  entry(name: string): CatalogEntry | undefined {
    return this.#entries.get(name);
  }

  names(): Iterable<string> {
    return this.#entries.keys();
  }
}

function changeOf(service: string, before: CatalogEntry | undefined, after: CatalogEntry | undefined): CatalogChange {
  return {
    service,
    stateChanged: before?.state !== after?.state,
    suspectsBefore: before?.guarded?.suspects ?? noSuspects,
    suspects: after?.guarded?.suspects ?? noSuspects,
    // Before the source has answered, everything comes from the state file: nothing of it is dropped.
    holdEnd: after?.set && after.guarded && holdEnd(after.guarded, after.service.policy.expiryGuard),
    newlyRefused: after === undefined || after.refused === before?.refused ? null : after.refused,
  };
}

/** The entry under another configuration. A guard that was turned off, or holds for a shorter time, drops suspects. */
function reconfigured(name: string, service: CatalogService, known: CatalogEntry | undefined): CatalogEntry {
  const seenAt = clock.now();
  // Before the source has answered, everything comes from the state file: nothing of it is dropped.
  if (known?.guarded === undefined || known.set === undefined) return evaluate(name, service, { known, seenAt });
  const { expiryGuard: guard } = service.policy;
  const guarded = guardExpiry(known.guarded, known.guarded.raw, { guard, now: seenAt });
  const same = guarded.suspects.size === known.guarded.suspects.size;
  return evaluate(name, service, { known: same ? known : { ...known, guarded, set: guarded.set }, seenAt });
}

/** The first set of a source that replaced another one: what only the former one found counts as withdrawn. */
function firstOfReplacement(before: InstanceSet | undefined, set: InstanceSet): InstanceSet {
  const left = new Set(before?.instances.map(({ id }) => id));
  for (const { id } of set.instances) left.delete(id);
  return left.size === 0 ? set : { ...set, withdrawn: new Set([...left, ...(set.withdrawn ?? [])]) };
}

/** Works an entry out again; keeps the state object when nothing in it changed. */
function evaluate(
  name: string,
  service: CatalogService,
  { known, seenAt }: { readonly known: CatalogEntry | undefined; readonly seenAt: number },
): CatalogEntry {
  const { set, lastGood, guarded } = known ?? {};
  // Until the source answers, only the state file's set is there.
  const selection = select(service.policy, set ?? lastGood, lastGood);
  const { instances, origin } = selection;
  const newest = set === undefined ? known?.published : set.published;
  const { config, published, refused } = effectiveConfig(service, newest, known?.published);
  const fromStateFile = set === undefined && instances !== undefined;
  const next = { config, instances, ...(fromStateFile && { fromStateFile }) };
  const same = known !== undefined && isSameState(known.state, next);
  const wallTime = clock.wallTime();
  return {
    service,
    state: same ? known.state : { name, ...next, seenAt },
    set,
    lastGood: origin === 'previous' ? lastGood : (set ?? lastGood),
    origin: set === undefined && lastGood !== undefined ? 'cache' : origin,
    guarded,
    published,
    refused,
    changedAt: same ? known.changedAt : instances === undefined ? null : wallTime,
    answeredAt: set === undefined ? null : (known?.answeredAt ?? wallTime),
  };
}

/** A published configuration that was written again with the same content is no change either. */
function isSameState(before: ServiceState, next: Omit<ServiceState, 'name' | 'seenAt'>): boolean {
  if (before.fromStateFile !== next.fromStateFile) return false;
  return isDeepStrictEqual(before.config, next.config) && sameInstances(before.instances, next.instances);
}
