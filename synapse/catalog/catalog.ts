import { clock } from '../../common/async/clock.ts';
import type { Published } from '../../common/published.ts';
import type { Addressing } from '../addresses/addressing.ts';
import type { ServiceOutputConfig, ServiceState, Snapshot } from '../output.ts';
import type { InstanceSet } from '../source.ts';
import { type Announced, AnnouncedIndex, recordsIn } from './announced.ts';
import { type CatalogChange, type CatalogEntry, type CatalogService, changeOf, evaluate } from './catalog-entry.ts';
import { keptOf, type LostById, noneLost, withKept } from './lost-instance.ts';
import { reduceLost } from './lost-leases.ts';
import { type LookResult, type LostEvent, type LostFacts, nextDue, nothingLost } from './lost-state.ts';
import { addressPolicyOf, type Place, placeAsFound } from './select.ts';
import { withoutReused } from './stand-in.ts';

/** What a previous process knew of one service. */
export interface Restored {
  readonly set: InstanceSet;
  readonly published?: Published | undefined;
  readonly kept?: LostById | undefined;
}

/**
 * The last good set of every service, and what follows from it. Failures never reach it: a source that fails publishes
 * nothing, and its last set stays in force.
 */
export class Catalog {
  readonly #addressing: Pick<Addressing, 'place'> | undefined;
  #entries = new Map<string, CatalogEntry>();
  /** Services with a new source that has not answered yet, while their sets are of the former one. */
  readonly #replaced = new Set<string>();

  #lost = nothingLost;
  /** Services whose last instances stand in for an empty set. */
  readonly #standIns = new Set<string>();
  /** What is announced over all services; kept only while something is lost or stands in. */
  #announced: AnnouncedIndex | undefined;
  readonly #facts: LostFacts = {
    guardOf: (service) => this.#entries.get(service)?.service.policy.expiryGuard,
    // Undefined before the source has answered: everything comes from the state file then, and nothing of it is dropped.
    setOf: (service) => this.#entries.get(service)?.raw,
    announced: () => this.#announcedNow(),
  };

  /** `addressing` puts instances at their addresses; without it, they stay as they were found. */
  constructor(addressing?: Pick<Addressing, 'place'>) {
    this.#addressing = addressing;
  }

  /** Takes the services of a new configuration, in its order. Returns what changed, removed services included. */
  configure(services: ReadonlyMap<string, CatalogService>): readonly CatalogChange[] {
    const before = this.#entries;
    this.#entries = new Map();
    this.#announced = undefined;
    const changed: string[] = [];
    for (const [name, service] of services) {
      const known = before.get(name);
      const entry = known?.service === service ? known : this.#evaluate(name, service, known, clock.now());
      this.#entries.set(name, entry);
      if (entry !== known) changed.push(name);
    }
    for (const name of before.keys()) if (!services.has(name)) changed.push(name);
    return this.#reduce({ type: 'configured', now: clock.now() }, before, changed);
  }

  /** Takes what a previous process knew: in force until the source answers. Ignored when it has answered already. */
  restore(name: string, { set, published, kept = noneLost }: Restored): readonly CatalogChange[] {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.set !== undefined) return [];
    // An instance that left while synapse was down may have been withdrawn: only those of the state file are kept.
    const known = { ...entry, lastGood: set, restored: set, published, raw: undefined, kept };
    const restored = this.#evaluate(name, entry.service, known, set.seenAt);
    this.#entries.set(name, restored);
    if (kept.size > 0) this.#lost = { ...this.#lost, services: new Map([...this.#lost.services, [name, kept]]) };
    return [changeOf(name, entry, restored, [])];
  }

  /** Takes a source's newest set. Returns what it changed, also in other services: this one is the first. */
  update(name: string, set: InstanceSet): readonly CatalogChange[] {
    const known = this.#entries.get(name);
    if (known === undefined) return [];
    const raw = this.#replaced.delete(name) ? firstOfReplacement(known.raw, set) : set;
    this.#entries.set(name, { ...known, raw });
    this.#announced?.take(name, recordsIn(name, raw));
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

  /** Puts the instances of all services at their addresses again, or of those with one of these host names. */
  placeAgain(names?: ReadonlySet<string>): readonly CatalogChange[] {
    const changes: CatalogChange[] = [];
    for (const [name, entry] of this.#entries) {
      if (names !== undefined && !sharesAny(names, entry.names)) continue;
      const next = this.#evaluate(name, entry.service, entry, clock.now());
      this.#entries.set(name, next);
      if (next.state !== entry.state || next.unusable !== entry.unusable) changes.push(changeOf(name, entry, next, []));
    }
    return changes;
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
    const touched = new Set(changed);
    // Another service may have been announced at the addresses of their last instances.
    if (event.type === 'set') for (const name of this.#standIns) touched.add(name);
    for (const { service } of effects) touched.add(service);
    if (state.services !== services) {
      for (const name of new Set([...services.keys(), ...state.services.keys()])) {
        if (services.get(name) !== state.services.get(name)) touched.add(name);
      }
    }
    const isNew = event.type === 'configured';
    const former = [...touched].map((name) => before.get(name) ?? (isNew ? undefined : this.#entries.get(name)));
    for (const name of touched) this.#renew(name, state.services.get(name), seenAt);
    if (state.services.size === 0 && this.#standIns.size === 0) this.#announced = undefined;
    return [...touched].map((name, index) => changeOf(name, former[index], this.#entries.get(name), effects));
  }

  /** Works an entry out again. */
  #renew(name: string, lost: LostById | undefined, seenAt: number): void {
    this.#standIns.delete(name);
    const known = this.#entries.get(name);
    if (known === undefined) return;
    let entry = this.#withLosses(name, known, lost, seenAt);
    if (entry.origin === 'previous' && entry.lastGood !== undefined) {
      const lastGood = withoutReused(name, entry.lastGood, this.#announcedNow());
      if (lastGood !== entry.lastGood) entry = this.#evaluate(name, entry.service, { ...entry, lastGood }, seenAt);
    }
    if (entry.origin === 'previous') this.#standIns.add(name);
    this.#entries.set(name, entry);
  }

  /** The entry with the lost instances that are kept now. */
  #withLosses(name: string, known: CatalogEntry, lost: LostById | undefined, seenAt: number): CatalogEntry {
    const kept = lost === undefined ? noneLost : keptOf(lost);
    const { raw, service } = known;
    // Before the source has answered, only the state file's set is there.
    if (raw === undefined) return { ...known, kept };
    const set = withKept(known.set ?? known.lastGood, raw, kept);
    return this.#evaluate(name, service, { ...known, kept, set }, seenAt);
  }

  /** Works an entry out again; keeps the state object when nothing in it changed. */
  #evaluate(service: string, config: CatalogService, known: CatalogEntry | undefined, seenAt: number): CatalogEntry {
    const policy = addressPolicyOf(config.policy);
    const place: Place =
      this.#addressing === undefined
        ? placeAsFound
        : (candidates, before) => (this.#addressing as Addressing).place(candidates, { service, policy }, before);
    return evaluate(service, config, { known, seenAt, place });
  }

  #announcedNow(): Announced {
    if (this.#announced === undefined) {
      this.#announced = new AnnouncedIndex();
      for (const [name, { raw }] of this.#entries) {
        if (raw !== undefined) this.#announced.take(name, recordsIn(name, raw));
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

  /** The section in force of each service. */
  *configs(): Iterable<readonly [service: string, config: ServiceOutputConfig]> {
    for (const [name, { state }] of this.#entries) yield [name, state.config];
  }

  names(): Iterable<string> {
    return this.#entries.keys();
  }
}

/** The first set of a source that replaced another one: what only the former one found counts as withdrawn. */
function firstOfReplacement(before: InstanceSet | undefined, set: InstanceSet): InstanceSet {
  const left = new Set(before?.instances.map(({ id }) => id));
  for (const { id } of set.instances) left.delete(id);
  const withdrawn = [...left].map((id) => [id, null] as const);
  return left.size === 0 ? set : { ...set, withdrawn: new Map([...withdrawn, ...(set.withdrawn ?? [])]) };
}

function sharesAny(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  const [few, many] = a.size < b.size ? [a, b] : [b, a];
  for (const one of few) if (many.has(one)) return true;
  return false;
}
