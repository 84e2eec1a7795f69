import { clock } from '../../common/async/clock.ts';
import type { KnownName } from '../addresses/known-name.ts';
import { recordIdOf } from '../addresses/place.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { CatalogEntry } from '../catalog/catalog-entry.ts';
import { leftOut, rulesOf } from '../catalog/left-out.ts';
import { endOf, suspectsIn } from '../catalog/lost-instance.ts';
import { withPort } from '../catalog/port-override.ts';
import { reportPreference } from '../catalog/preference.ts';
import type { Discoverer, DiscoveryStatus } from '../discovery/discoverer.ts';
import type { ServiceHealth } from '../haproxy/statistics/health-shape.ts';
import type { HaproxyReport } from '../haproxy/status-shape.ts';
import type { Observed } from '../metrics.ts';
import type { LeftOut } from '../source.ts';
import { endsText, leaseText, lookText } from './lost-text.ts';
import type { InstanceReturns, Returns } from './returns.ts';
import type { ServiceReport } from './service-shape.ts';
import type { SynapseState } from './status-shape.ts';

/** Left-out instances, and rejected records, that are shown of one service. */
const maxShown = 100;

/** The state of all services, or of those named. Reads only. */
export function stateOf(
  catalog: Catalog,
  discoverer: Pick<Discoverer, 'status'>,
  { haproxy, health, look, returns, names = catalog.names() }: StateFacts,
): SynapseState {
  // Null prototype: a service may have any name.
  const services: Record<string, ServiceReport> = Object.create(null);
  for (const name of names) {
    const entry = catalog.entry(name);
    const source = discoverer.status(name);
    if (entry !== undefined && source !== undefined) {
      services[name] = reportOf(entry, source, { look, health: health(name), returns: returns.of(name) });
    }
  }
  return { services, haproxy };
}

/** What a state has beside the services. */
export interface StateFacts {
  readonly haproxy: HaproxyReport | null;
  /** What HAProxy says of a service; undefined while it says nothing. */
  readonly health: (service: string) => ServiceHealth | undefined;
  /** What is known of a host name. */
  readonly look: (name: string) => KnownName | undefined;
  readonly returns: InstanceReturns;
  /** Default: all services. */
  readonly names?: Iterable<string> | undefined;
}

interface ReportFacts extends Pick<StateFacts, 'look'> {
  readonly health: ServiceHealth | undefined;
  /** Of this service. */
  readonly returns: ReadonlyMap<string, Returns>;
}

function reportOf(entry: CatalogEntry, source: DiscoveryStatus, { look, health, returns }: ReportFacts): ServiceReport {
  const { set, changedAt, answeredAt } = entry;
  return {
    method: source.method,
    origin: entry.origin,
    reason: source.reason,
    age: source.age === null ? null : Math.round(source.age) / 1000,
    ...(source.parts !== undefined && { sources: source.parts }),
    ...(source.paths !== undefined && { paths: source.paths }),
    revision: set?.revision ?? null,
    changed_at: changedAt === null ? null : new Date(changedAt).toISOString(),
    ...(answeredAt !== null && { answered_at: new Date(answeredAt).toISOString() }),
    ...publishedOf(entry),
    ...rulesFor(entry),
    ...preferenceOf(entry),
    ...lostOf(entry),
    ...(entry.overLimit > 0 && { over_limit: entry.overLimit }),
    ...returnsOf(returns),
    instances: entry.state.instances ?? null,
    ...(health !== undefined && { haproxy: health }),
    left_out: leftOutOf(entry),
    ...failingNamesOf(entry, look),
    rejected: (set?.rejected ?? []).slice(0, maxShown),
  };
}

function failingNamesOf({ names }: CatalogEntry, look: StateFacts['look']): Pick<ServiceReport, 'failing_names'> {
  const failing: { host: string; address: string | null; reason: string }[] = [];
  for (const host of names) {
    const { address = null, reason = null } = look(host) ?? {};
    if (reason !== null) failing.push({ host, address, reason });
    if (failing.length === maxShown) break;
  }
  return failing.length === 0 ? {} : { failing_names: failing };
}

function publishedOf({ published, refused }: CatalogEntry): Pick<ServiceReport, 'published'> {
  return published === undefined && refused === null ? {} : { published: { where: published?.where ?? null, refused } };
}

function rulesFor({ service }: CatalogEntry): Pick<ServiceReport, 'rules'> {
  const rules = rulesOf(service.policy);
  return rules.length === 0 ? {} : { rules };
}

function preferenceOf({ service, state }: CatalogEntry): Pick<ServiceReport, 'prefer'> {
  const { prefer } = service.policy;
  return prefer === undefined ? {} : { prefer: reportPreference(state.instances ?? [], prefer) };
}

function lostOf({ kept, service, state }: CatalogEntry): Pick<ServiceReport, 'suspects' | 'lost'> {
  const { expiryGuard, portOverride } = service.policy;
  if (kept.size === 0 || expiryGuard === undefined) return {};
  const offset = clock.wallTime() - clock.now();
  const timeOf = (at: number): string => new Date(at + offset).toISOString();
  // Lost instances are known by the ids of their records, and the servers of host names by their addresses.
  const resolved = (state.instances ?? []).filter(({ hostName }) => hostName !== undefined);
  const ids = new Map(resolved.map((instance) => [recordIdOf(instance), instance.id]));
  const lost = [...kept.values()].map((one) => {
    const { id: recordId } = portOverride === undefined ? one.instance : withPort(one.instance, portOverride);
    const id = ids.get(recordId) ?? recordId;
    const phase = one.phase === 'left' ? 'suspect' : one.phase;
    const report = { lease: leaseText(one.lease), since: timeOf(one.at), phase, look: lookText(one.look) };
    return [id, { ...report, until: timeOf(endOf(one, expiryGuard)), ends: endsText(one) }] as const;
  });
  const suspects = lost.filter(([, { phase }]) => phase === 'suspect').map(([id, { until }]) => [id, until]);
  return {
    ...(suspects.length > 0 && { suspects: Object.fromEntries(suspects) }),
    lost: Object.fromEntries(lost),
  };
}

function returnsOf(returns: ReadonlyMap<string, Returns>): Pick<ServiceReport, 'returns'> {
  if (returns.size === 0) return {};
  const time = (at: number): string => new Date(at).toISOString();
  const newest = [...returns].slice(-maxShown).map(([id, { times, leftAt, backAt }]) => {
    return [id, { times, left_at: time(leftAt), back_at: backAt === null ? null : time(backAt) }] as const;
  });
  return { returns: Object.fromEntries(newest) };
}

const leftOutLists = new WeakMap<CatalogEntry, readonly LeftOut[]>();

/** The first {@link maxShown}. Found once for each entry: the watch of problems asks every 2 s, and few services change meanwhile. */
function leftOutOf(entry: CatalogEntry): readonly LeftOut[] {
  let list = leftOutLists.get(entry);
  if (list === undefined) {
    const { service, set, state, unusable } = entry;
    const all = set === undefined ? unusable : leftOut(service.policy, set, { instances: state.instances, unusable });
    list = all.slice(0, maxShown);
    leftOutLists.set(entry, list);
  }
  return list;
}

/** The state of all services for the gauges. */
export function* observed(catalog: Catalog, discoverer: Discoverer, health: StateFacts['health']): Iterable<Observed> {
  for (const name of catalog.names()) {
    const entry = catalog.entry(name);
    const source = discoverer.status(name);
    if (entry === undefined || source === undefined) continue;
    const { published } = publishedOf(entry);
    yield {
      name,
      method: source.method,
      instances: entry.state.instances,
      local: preferenceOf(entry).prefer?.local,
      up: source.reason === null,
      age: source.age,
      parts: source.parts,
      rejected: entry.set?.rejected.length ?? 0,
      refused: published && published.refused !== null,
      suspects: suspectsIn(entry.kept),
      unresolved: entry.unusable.filter(({ kind }) => kind === 'waiting' || kind === 'unresolved').length,
      refusedInstances: entry.unusable.filter(({ kind }) => kind === 'refused').length,
      held: entry.kept.size - suspectsIn(entry.kept),
      overLimit: entry.overLimit,
      health: health(name),
      changedAt: entry.changedAt,
    };
  }
}

/** The message about a service that does not exist; `services` has the names of those that do. */
export function noService(name: string, services: object): string {
  return `no service ${name}; there are ${Object.keys(services).sort().join(', ') || 'none'}`;
}
