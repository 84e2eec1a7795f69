import { clock } from '../../common/async/clock.ts';
import type { Catalog, CatalogEntry } from '../catalog/catalog.ts';
import { leftOut, rulesOf } from '../catalog/left-out.ts';
import { endOf, suspectsIn } from '../catalog/lost-instance.ts';
import { withPort } from '../catalog/port-override.ts';
import { reportPreference } from '../catalog/preference.ts';
import type { Discoverer, DiscoveryStatus } from '../discovery/discoverer.ts';
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
  discoverer: Discoverer,
  haproxy: HaproxyReport | null,
  { returns, names = catalog.names() }: { readonly returns: InstanceReturns; readonly names?: Iterable<string> },
): SynapseState {
  // Null prototype: a service may have any name.
  const services: Record<string, ServiceReport> = Object.create(null);
  for (const name of names) {
    const entry = catalog.entry(name);
    const source = discoverer.status(name);
    if (entry !== undefined && source !== undefined) services[name] = reportOf(entry, source, returns.of(name));
  }
  return { services, haproxy };
}

function reportOf(entry: CatalogEntry, source: DiscoveryStatus, returns: ReadonlyMap<string, Returns>): ServiceReport {
  const { set, changedAt, answeredAt } = entry;
  return {
    method: source.method,
    origin: entry.origin,
    reason: source.reason,
    age: source.age === null ? null : Math.round(source.age) / 1000,
    ...(source.parts !== undefined && { sources: source.parts }),
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
    left_out: leftOutOf(entry).slice(0, maxShown),
    rejected: (set?.rejected ?? []).slice(0, maxShown),
  };
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

function lostOf({ kept, service }: CatalogEntry): Pick<ServiceReport, 'suspects' | 'lost'> {
  const { expiryGuard, portOverride } = service.policy;
  if (kept.size === 0 || expiryGuard === undefined) return {};
  const offset = clock.wallTime() - clock.now();
  const timeOf = (at: number): string => new Date(at + offset).toISOString();
  const lost = [...kept.values()].map((one) => {
    const { id } = portOverride === undefined ? one.instance : withPort(one.instance, portOverride);
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

function leftOutOf({ service, set, state }: CatalogEntry): readonly LeftOut[] {
  return set === undefined ? [] : leftOut(service.policy, set, state);
}

/** The state of all services for the gauges. */
export function* observed(catalog: Catalog, discoverer: Discoverer): Iterable<Observed> {
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
      held: entry.kept.size - suspectsIn(entry.kept),
      overLimit: entry.overLimit,
      changedAt: entry.changedAt,
    };
  }
}

/** The message about a service that does not exist; `services` has the names of those that do. */
export function noService(name: string, services: object): string {
  return `no service ${name}; there are ${Object.keys(services).sort().join(', ') || 'none'}`;
}
