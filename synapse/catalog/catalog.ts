import { isDeepStrictEqual } from 'node:util';
import { clock } from '../../common/async/clock.ts';
import type { Published } from '../../common/published.ts';
import type { ServiceState, Snapshot } from '../output.ts';
import type { InstanceSet } from '../source.ts';
import { type Announced, AnnouncedIndex, announcementsIn } from './announced.ts';
import { changesBetween } from './changes.ts';
import { type EndedLoss, keptOf, type LostById, type LostInstance, noneLost, withKept } from './lost-instance.ts';
import { reduceLost } from './lost-leases.ts';
import {
  type LookResult,
  type LostEffect,
  type LostEvent,
  type LostFacts,
  nextDue,
  nothingLost,
} from './lost-state.ts';
import { effectiveConfig, type PublishableConfig } from './published.ts';
import { type Origin, type Policy, sameInstances, select, staying } from './select.ts';

/** What the catalog needs to know of a service's configuration. */
export interface CatalogService extends PublishableConfig {
  readonly policy: Policy;
}

/** What the catalog has of one service. Immutable. */
export interface CatalogEntry {
  readonly service: CatalogService;
  /** What outputs are given. */
  readonly state: ServiceState;
  /** The newest set of the source in this process, with the lost instances that are kept; undefined before its first answer. */
  readonly set: InstanceSet | undefined;
  /** The set in force. Where an empty set changes nothing, the newest that was not empty; at first that of the state file. */
  readonly lastGood: InstanceSet | undefined;
  readonly origin: Origin | 'cache';
  /** How many instances are left out because of `max_instances`. */
  readonly overLimit: number;
  /** The newest set as the source published it, without the lost instances that are kept. */
  readonly raw: InstanceSet | undefined;
  /** Instances that are kept although their leases are gone. */
  readonly kept: LostById;
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
  readonly kept?: LostById | undefined;
}

/** What a call did to one service. */
export interface CatalogChange {
  readonly service: string;
  /** Outputs have something to do. */
  readonly stateChanged: boolean;
  readonly keptBefore: LostById;
  readonly kept: LostById;
  /** How many instances are left out because of `max_instances`, before and now. */
  readonly overLimitBefore: number;
  readonly overLimit: number;
  /** Ids of instances that are announced no longer, and of those that are now, whether or not they are used. */
  readonly left: readonly string[];
  readonly came: readonly string[];
  /** Instances of an earlier set were in use because the newest one had none, before the call and after it. */
  readonly wasPrevious: boolean;
  readonly isPrevious: boolean;
  /** Lost instances to look at: tell {@link Catalog.looked} the result. */
  readonly looks: readonly LostInstance[];
  /** Lost instances that are no longer kept. */
  readonly ended: readonly EndedLoss[];
  /** Why the newest published configuration is refused, when that is new; otherwise null. */
  readonly newlyRefused: string | null;
}

/**
 * The last good set of every service, and what follows from it. Failures never reach it: a source that fails publishes
 * nothing, and its last set stays in force.
 */
export class Catalog {
  #entries = new Map<string, CatalogEntry>();
  /** Services with a new source that has not answered yet, while their sets are of the former one. */
  readonly #replaced = new Set<string>();

  #lost = nothingLost;
  /** What is announced over all services; kept only while something is lost. */
  #announced: AnnouncedIndex | undefined;
  readonly #facts: LostFacts = {
    guardOf: (service) => this.#entries.get(service)?.service.policy.expiryGuard,
    // Undefined before the source has answered: everything comes from the state file then, and nothing of it is dropped.
    setOf: (service) => this.#entries.get(service)?.raw,
    announced: () => this.#announcedNow(),
  };

  /** Takes the services of a new configuration, in its order. Returns what changed, removed services included. */
  configure(services: ReadonlyMap<string, CatalogService>): readonly CatalogChange[] {
    const before = this.#entries;
    this.#entries = new Map();
    this.#announced = undefined;
    const changed: string[] = [];
    for (const [name, service] of services) {
      const known = before.get(name);
      const entry = known?.service === service ? known : evaluate(name, service, { known, seenAt: clock.now() });
      this.#entries.set(name, entry);
      if (entry !== known) changed.push(name);
    }
    for (const name of before.keys()) if (!services.has(name)) changed.push(name);
    return this.#reduce({ type: 'configured', now: clock.now() }, before, changed);
  }

  /** Takes what a previous process knew: in force until the source answers. Ignored when it has answered already. */
  restore(name: string, { set, published, kept = noneLost }: Restored): void {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.set !== undefined) return;
    // An instance that left while synapse was down may have been withdrawn: only those of the state file are kept.
    const known = { ...entry, lastGood: set, published, raw: undefined, kept };
    this.#entries.set(name, evaluate(name, entry.service, { known, seenAt: set.seenAt }));
    if (kept.size > 0) this.#lost = { ...this.#lost, services: new Map([...this.#lost.services, [name, kept]]) };
  }

  /** Takes a source's newest set. Returns what it changed, also in other services: this one is the first. */
  update(name: string, set: InstanceSet): readonly CatalogChange[] {
    const known = this.#entries.get(name);
    if (known === undefined) return [];
    const raw = this.#replaced.delete(name) ? firstOfReplacement(known.raw, set) : set;
    this.#entries.set(name, { ...known, raw });
    this.#announced?.take(name, announcementsIn(name, raw));
    const event = { type: 'set', service: name, before: known.raw, set: raw, now: clock.now() } as const;
    return this.#reduce(event, new Map([[name, known]]), [name], set.seenAt);
  }

  /** A service gets another source, which looks elsewhere: instances that it does not find were not lost. */
  sourceReplaced(name: string): void {
    this.#replaced.add(name);
  }

  /** Takes the results of looks at lost instances. */
  looked(looks: readonly LookResult[]): readonly CatalogChange[] {
    return this.#reduce({ type: 'looked', looks, now: clock.now() });
  }

  /** Does what is due now: see {@link dueAt}. */
  refresh(): readonly CatalogChange[] {
    return this.#reduce({ type: 'time', now: clock.now() });
  }

  /** When {@link refresh} has something to do, in milliseconds of `clock.now()`; undefined when nothing is lost. */
  dueAt(): number | undefined {
    return nextDue(this.#lost, this.#facts);
  }

  /** Has the reducer decide what is kept, and works out what follows. `changed` services changed already. */
  #reduce(
    event: LostEvent,
    before: ReadonlyMap<string, CatalogEntry> = this.#entries,
    changed: readonly string[] = [],
    seenAt: number = event.now,
  ): readonly CatalogChange[] {
    const { services } = this.#lost;
    const { state, effects } = reduceLost(this.#lost, event, this.#facts);
    this.#lost = state;
    if (state.services.size === 0) this.#announced = undefined;
    const touched = new Set(changed);
    for (const { service } of effects) touched.add(service);
    if (state.services !== services) {
      for (const name of new Set([...services.keys(), ...state.services.keys()])) {
        if (services.get(name) !== state.services.get(name)) touched.add(name);
      }
    }
    const isNew = event.type === 'configured';
    const former = [...touched].map((name) => before.get(name) ?? (isNew ? undefined : this.#entries.get(name)));
    return [...touched].map((name, index) => {
      const entry = this.#entries.get(name);
      if (entry !== undefined) this.#entries.set(name, withLosses(name, entry, state.services.get(name), seenAt));
      return changeOf(name, former[index], this.#entries.get(name), effects);
    });
  }

  #announcedNow(): Announced {
    if (this.#announced === undefined) {
      this.#announced = new AnnouncedIndex();
      for (const [name, { raw }] of this.#entries) {
        if (raw !== undefined) this.#announced.take(name, announcementsIn(name, raw));
      }
    }
    return this.#announced;
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

function changeOf(
  service: string,
  before: CatalogEntry | undefined,
  after: CatalogEntry | undefined,
  effects: readonly LostEffect[],
): CatalogChange {
  const own = effects.filter((effect) => effect.service === service);
  return {
    service,
    stateChanged: before?.state !== after?.state,
    keptBefore: before?.kept ?? noneLost,
    kept: after?.kept ?? noneLost,
    overLimitBefore: before?.overLimit ?? 0,
    overLimit: after?.overLimit ?? 0,
    ...announcedChanges(before?.raw, after?.raw),
    wasPrevious: before?.origin === 'previous',
    isPrevious: after?.origin === 'previous',
    looks: own.flatMap((effect) => (effect.type === 'look' ? [effect.lost] : [])),
    ended: own.flatMap((effect) => (effect.type === 'ended' ? [effect] : [])),
    newlyRefused: after === undefined || after.refused === before?.refused ? null : after.refused,
  };
}

/** What came to the registry and what left it; nothing is known of that before the first answer of the source. */
function announcedChanges(
  before: InstanceSet | undefined,
  after: InstanceSet | undefined,
): Pick<CatalogChange, 'left' | 'came'> {
  if (before === undefined || after === undefined || before === after) return { left: [], came: [] };
  const { removed, added } = changesBetween(staying(before), staying(after));
  return { left: removed, came: added };
}

/** The entry with the lost instances that are kept now. */
function withLosses(name: string, known: CatalogEntry, lost: LostById | undefined, seenAt: number): CatalogEntry {
  const kept = lost === undefined ? noneLost : keptOf(lost);
  const { raw, service } = known;
  // Before the source has answered, only the state file's set is there.
  if (raw === undefined) return { ...known, kept };
  const set = withKept(known.set ?? known.lastGood, raw, kept);
  return evaluate(name, service, { known: { ...known, kept, set }, seenAt });
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
  const { set, lastGood, raw } = known ?? {};
  // Until the source answers, only the state file's set is there.
  const selection = select(service.policy, set ?? lastGood, lastGood);
  const { instances, origin, overLimit = 0 } = selection;
  const newest = set === undefined ? known?.published : set.published;
  const { config, published, refused } = effectiveConfig(service, newest, known?.published);
  const fromStateFile = set === undefined && instances !== undefined;
  const next = { config, instances, ...(fromStateFile && { fromStateFile }) };
  const same = known !== undefined && isSameState(known.state, next);
  const wallTime = clock.wallTime();
  return {
    service,
    state: same ? known.state : { name, ...next, ...(config !== service.config && { local: service.config }), seenAt },
    set,
    lastGood: origin === 'previous' ? lastGood : (set ?? lastGood),
    origin: set === undefined && lastGood !== undefined ? 'cache' : origin,
    overLimit,
    raw,
    kept: known?.kept ?? noneLost,
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
