import { isDeepStrictEqual } from 'node:util';
import { clock } from '../../common/async/clock.ts';
import type { Published } from '../../common/published.ts';
import type { PublishedResult } from '../config/published-config.ts';
import type { ServiceOutputConfig, ServiceState, Snapshot } from '../output.ts';
import type { InstanceSet } from '../source.ts';
import { type Expired, type Guarded, guardExpiry, nextGivenUp, restoredGuard } from './expiry-guard.ts';
import { type Origin, type Policy, sameInstances, select } from './select.ts';

/** What the catalog needs to know of a service's configuration. */
export interface CatalogService {
  readonly policy: Policy;
  /** The service's section for the output. */
  readonly config: ServiceOutputConfig;
  /** The same with what the registry says of it on top. */
  readonly withPublished?: (published: unknown) => PublishedResult;
}

/** What the catalog remembers of one service. */
export interface Remembered {
  /** The newest set of its source, in this process. */
  readonly set: InstanceSet | undefined;
  /** The set in force: the newest one that had something to say, or the one from disk. */
  readonly good: InstanceSet | undefined;
  readonly origin: Origin | 'cache';
  /** What the expiry guard makes of that set. */
  readonly guarded?: Guarded | undefined;
  /** The configuration from the registry that is in force. */
  readonly published?: Published | undefined;
  /** Why the newest one is not; null when it is, or when there is none. */
  readonly refused?: string | null;
  /** When the instances last changed, in milliseconds of `clock.wallTime()`; null while nothing is known. */
  readonly changedAt: number | null;
  /** When its source first answered in this process, in milliseconds of `clock.wallTime()`; null while it has not. */
  readonly answeredAt: number | null;
}

/** What a previous process knew of one service. */
export interface Restored {
  readonly set: InstanceSet;
  readonly published?: Published | undefined;
  readonly suspects?: ReadonlyMap<string, Expired> | undefined;
}

interface Entry extends Remembered {
  readonly service: CatalogService;
  readonly state: ServiceState;
}

/**
 * The last good set of every service, and what follows from it. Failures never reach it: a source that fails publishes
 * nothing, and what it said before stays in force.
 */
export class Catalog {
  #entries = new Map<string, Entry>();
  /** Services whose present source has not answered yet, while there are sets of another one. */
  readonly #succeeded = new Set<string>();

  /**
   * Takes the services of a new configuration, in its order. Returns the names whose state is not what it was:
   * new ones, changed ones and those that are gone.
   */
  configure(services: ReadonlyMap<string, CatalogService>): ReadonlySet<string> {
    const before = this.#entries;
    const dirty = new Set<string>();
    this.#entries = new Map();
    for (const [name, service] of services) {
      const known = before.get(name);
      const entry =
        known?.service === service ? known : evaluate(name, service, guardedAnew(known, service), clock.now());
      if (entry.state !== known?.state) dirty.add(name);
      this.#entries.set(name, entry);
    }
    for (const name of before.keys()) if (!services.has(name)) dirty.add(name);
    return dirty;
  }

  /** What a previous process knew: in force until the source itself answers. Ignored where it has answered already. */
  restore(name: string, { set, published, suspects }: Restored): void {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.set !== undefined) return;
    const guarded = suspects && restoredGuard(set, suspects);
    this.#entries.set(name, evaluate(name, entry.service, { ...entry, good: set, published, guarded }, set.seenAt));
  }

  /** Takes a source's newest set. Returns whether anything changed for an output. */
  update(name: string, set: InstanceSet): boolean {
    const known = this.#entries.get(name);
    if (known === undefined) return false;
    const raw = this.#succeeded.delete(name) ? succeeding(known.guarded?.raw, set) : set;
    return this.#take(name, known, raw, set.seenAt);
  }

  /** Another source speaks for a service from now on: it looks elsewhere, and whom it does not name did not expire. */
  otherSource(name: string): void {
    this.#succeeded.add(name);
  }

  /** Gives suspects up whose time is over. Returns whether anything changed for an output. */
  refresh(name: string): boolean {
    const known = this.#entries.get(name);
    // Before the source has answered, all there is comes from disk: nothing of it is given up.
    if (known?.guarded === undefined || known.set === undefined) return false;
    return this.#take(name, known, known.guarded.raw, clock.now());
  }

  /** When to call `refresh`, in milliseconds of `clock.now()`; undefined while nothing is suspect. */
  refreshAt(name: string): number | undefined {
    const known = this.#entries.get(name);
    return known?.set && known.guarded && nextGivenUp(known.guarded, known.service.policy.expiryGuard);
  }

  #take(name: string, known: Entry, raw: InstanceSet, seenAt: number): boolean {
    const guarded = guardExpiry(known.guarded, raw, known.service.policy.expiryGuard, clock.now());
    const entry = evaluate(name, known.service, { ...known, guarded, set: guarded.set }, seenAt);
    this.#entries.set(name, entry);
    return entry.state !== known.state;
  }

  /** All services at this moment, in the order of the configuration. Later changes do not show in it. */
  snapshot(): Snapshot {
    const states = new Map<string, ServiceState>();
    for (const [name, { state }] of this.#entries) states.set(name, state);
    return states;
  }

  /** The state of one service at this moment. */
  state(name: string): ServiceState | undefined {
    return this.#entries.get(name)?.state;
  }

  /** The rules of one service. */
  policy(name: string): Policy | undefined {
    return this.#entries.get(name)?.service.policy;
  }

  /** What is known of one service, and from where. */
  recall(name: string): Remembered | undefined {
    return this.#entries.get(name);
  }

  names(): Iterable<string> {
    return this.#entries.keys();
  }
}

/** With what another expiry guard makes of the same set: who turns it off wants its suspects gone. */
function guardedAnew(known: Entry | undefined, { policy }: CatalogService): Entry | undefined {
  // Before the source has answered, all there is comes from disk: nothing of it is given up.
  if (known?.guarded === undefined || known.set === undefined) return known;
  const guarded = guardExpiry(known.guarded, known.guarded.raw, policy.expiryGuard, clock.now());
  return guarded.suspects.size === known.guarded.suspects.size ? known : { ...known, guarded, set: guarded.set };
}

/** The first set of a source that took over from another one: what only that one named was given up by the configuration. */
function succeeding(before: InstanceSet | undefined, set: InstanceSet): InstanceSet {
  const left = new Set(before?.instances.map(({ id }) => id));
  for (const { id } of set.instances) left.delete(id);
  return left.size === 0 ? set : { ...set, withdrawn: new Set([...left, ...(set.withdrawn ?? [])]) };
}

/** Works an entry out again; keeps the state object when nothing in it changed. */
function evaluate(
  name: string,
  service: CatalogService,
  known: (Remembered & { readonly state: ServiceState }) | undefined,
  seenAt: number,
): Entry {
  const { set, good, guarded } = known ?? {};
  // Until the source answers, what the disk remembers is all there is.
  const selection = select(service.policy, set ?? good, good);
  const origin = set === undefined && good !== undefined ? 'cache' : selection.origin;
  const newest = set === undefined ? known?.published : set.published;
  const { config: merged, published, refused } = configOf(service, newest, known?.published);
  // A published configuration that was written again with the same content is no change.
  const config = isDeepStrictEqual(known?.state.config, merged) && known ? known.state.config : merged;
  const same =
    known !== undefined && known.state.config === config && sameInstances(known.state.instances, selection.instances);
  const state = same ? known.state : { name, config, instances: selection.instances, seenAt };
  const answeredAt = set === undefined ? null : (known?.answeredAt ?? clock.wallTime());
  const changedAt = same ? known.changedAt : selection.instances === undefined ? null : clock.wallTime();
  return {
    service,
    set,
    good: selection.origin === 'previous' ? good : (set ?? good),
    origin,
    guarded,
    published,
    refused,
    changedAt,
    answeredAt,
    state,
  };
}

/** What a service's configuration and a published one come to, worked out once. */
const merged = new WeakMap<object, WeakMap<Published, PublishedResult>>();

/** The newest published configuration, or the one before it when that one cannot be used, or the local one alone. */
function configOf(
  service: CatalogService,
  newest: Published | undefined,
  before: Published | undefined,
): {
  readonly config: ServiceOutputConfig;
  readonly published: Published | undefined;
  readonly refused: string | null;
} {
  if (newest === undefined) return { config: service.config, published: undefined, refused: null };
  const result = merge(service, newest);
  if ('config' in result) return { config: result.config, published: newest, refused: null };
  const older = before === undefined ? undefined : merge(service, before);
  if (older === undefined || !('config' in older)) {
    return { config: service.config, published: undefined, refused: result.refused };
  }
  return { config: older.config, published: before, refused: result.refused };
}

function merge(service: CatalogService, published: Published): PublishedResult {
  let known = merged.get(service);
  if (known === undefined) {
    known = new WeakMap();
    merged.set(service, known);
  }
  let result = known.get(published);
  if (result === undefined) {
    result =
      published.broken === undefined
        ? (service.withPublished?.(published.value) ?? { config: service.config })
        : { refused: published.broken };
    known.set(published, result);
  }
  return result;
}
