import { isDeepStrictEqual } from 'node:util';
import { clock } from '../../common/async/clock.ts';
import type { Published } from '../../common/published.ts';
import type { Placed, Unusable } from '../addresses/place.ts';
import type { ServiceOutputConfig, ServiceState } from '../output.ts';
import type { InstanceSet } from '../source.ts';
import { changesBetween } from './changes.ts';
import { type EndedLoss, type LostById, type LostInstance, noneLost } from './lost-instance.ts';
import type { LostEffect } from './lost-state.ts';
import { effectiveConfig, type PublishableConfig } from './published.ts';
import { type Origin, type Place, type Policy, sameInstances, select, staying } from './select.ts';

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
  /** The set of the state file; undefined when it had none. */
  readonly restored: InstanceSet | undefined;
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
  /** Instances that would be used if their hosts could be. */
  readonly unusable: readonly Unusable[];
  /** The host names of the instances that are used, or would be. */
  readonly names: ReadonlySet<string>;
  /** What was placed of the newest set. */
  readonly placed: Placed | undefined;
  /** When the instances last changed, in milliseconds of `clock.wallTime()`; null while nothing is known. */
  readonly changedAt: number | null;
  /** When the source first answered in this process, in milliseconds of `clock.wallTime()`; null before that. */
  readonly answeredAt: number | null;
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
  /** Instances that cannot be used because of their hosts; the same list as before when that did not change. */
  readonly unusable: readonly Unusable[];
  readonly unusableBefore: readonly Unusable[];
  /** The host names in use. */
  readonly names: ReadonlySet<string>;
  /** The section in force; undefined for a service that was removed. */
  readonly config: ServiceOutputConfig | undefined;
}

/** What changed between two entries of a service; undefined: it was not there. */
export function changeOf(
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
    unusable: after?.unusable ?? noneUnusable,
    unusableBefore: before?.unusable ?? noneUnusable,
    names: after?.names ?? noNames,
    config: after?.state.config,
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

const noneUnusable: readonly Unusable[] = [];
const noNames: ReadonlySet<string> = new Set();

function sameUnusable(before: readonly Unusable[] | undefined, after: readonly Unusable[]): readonly Unusable[] {
  return before !== undefined && isDeepStrictEqual(before, after) ? before : after;
}

/** What an entry is worked out from, beside its service. */
export interface Evaluation {
  readonly known: CatalogEntry | undefined;
  readonly seenAt: number;
  readonly place: Place;
}

/** Works an entry out again; keeps the state object when nothing in it changed. */
export function evaluate(name: string, service: CatalogService, { known, seenAt, place }: Evaluation): CatalogEntry {
  const { set, lastGood, raw, restored } = known ?? {};
  // Until the source answers, only the state file's set is there.
  const selection = select(service.policy, set ?? lastGood, { previous: lastGood, place, before: known?.placed });
  const { instances, origin, names, placed, overLimit = 0 } = selection;
  const newest = set === undefined ? known?.published : set.published;
  const { config, published, refused } = effectiveConfig(service, newest, known?.published);
  const isPrevious = origin === 'previous' && lastGood === restored;
  const isRestored = instances !== undefined && (set === undefined || isPrevious);
  const fromStateFile: ServiceState['fromStateFile'] = set === undefined ? 'cache' : 'previous';
  const next = { config, instances, ...(isRestored && { fromStateFile }) };
  const same = known !== undefined && isSameState(known.state, next);
  const wallTime = clock.wallTime();
  return {
    service,
    state: same ? known.state : { name, ...next, ...(config !== service.config && { local: service.config }), seenAt },
    set,
    lastGood: origin === 'previous' ? lastGood : (set ?? lastGood),
    restored,
    origin: set === undefined && lastGood !== undefined ? 'cache' : origin,
    overLimit,
    raw,
    kept: known?.kept ?? noneLost,
    published,
    refused,
    unusable: sameUnusable(known?.unusable, selection.unusable),
    names,
    placed,
    changedAt: same ? known.changedAt : instances === undefined ? null : wallTime,
    answeredAt: set === undefined ? null : (known?.answeredAt ?? wallTime),
  };
}

/** A published configuration that was written again with the same content is no change either. */
function isSameState(before: ServiceState, next: Omit<ServiceState, 'name' | 'seenAt'>): boolean {
  if (before.fromStateFile !== next.fromStateFile) return false;
  return isDeepStrictEqual(before.config, next.config) && sameInstances(before.instances, next.instances);
}
