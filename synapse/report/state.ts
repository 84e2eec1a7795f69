import { clock } from '../../common/async/clock.ts';
import type { Catalog, Remembered } from '../catalog/catalog.ts';
import { leftOut, rulesOf } from '../catalog/left-out.ts';
import { withPort } from '../catalog/port-override.ts';
import { reportPreference } from '../catalog/preference.ts';
import type { Policy } from '../catalog/select.ts';
import type { CacheInput } from '../catalog/state-file.ts';
import type { Discoverer } from '../discovery/discoverer.ts';
import type { Observed } from '../metrics.ts';
import type { LeftOut } from '../source.ts';
import type { HaproxyReport } from './haproxy-shape.ts';
import type { ServiceReport } from './service-shape.ts';
import type { SynapseState } from './status-shape.ts';

/** How many instances left out, and how many rejected records, are shown of one service. */
const maxShown = 100;

/** All services, or those named. */
export function stateOf(
  catalog: Catalog,
  discoverer: Discoverer,
  haproxy: HaproxyReport | null,
  names: Iterable<string> = catalog.names(),
): SynapseState {
  // Null prototype: a service may have any name.
  const services: Record<string, ServiceReport> = Object.create(null);
  for (const name of names) {
    const known = catalog.recall(name);
    const source = discoverer.status(name);
    if (known === undefined || source === undefined) continue;
    services[name] = {
      method: source.method,
      origin: known.origin,
      reason: source.reason,
      age: source.age === null ? null : Math.round(source.age) / 1000,
      ...(source.parts !== undefined && { sources: source.parts }),
      revision: known.set?.revision ?? null,
      changed_at: known.changedAt === null ? null : new Date(known.changedAt).toISOString(),
      ...(known.answeredAt !== null && { answered_at: new Date(known.answeredAt).toISOString() }),
      ...publishedOf(known),
      ...rulesFor(catalog.policy(name)),
      ...preferenceOf(catalog, name),
      ...suspectsOf(known, catalog.policy(name)),
      instances: catalog.state(name)?.instances ?? null,
      left_out: leftOutOf(catalog, name).slice(0, maxShown),
      rejected: (known.set?.rejected ?? []).slice(0, maxShown),
    };
  }
  return { services, haproxy };
}

function publishedOf({ published, refused = null }: Remembered): Pick<ServiceReport, 'published'> {
  return published === undefined && refused === null ? {} : { published: { where: published?.where ?? null, refused } };
}

function rulesFor(policy: Policy | undefined): Pick<ServiceReport, 'rules'> {
  const rules = policy === undefined ? [] : rulesOf(policy);
  return rules.length === 0 ? {} : { rules };
}

function preferenceOf(catalog: Catalog, name: string): Pick<ServiceReport, 'prefer'> {
  const prefer = catalog.policy(name)?.prefer;
  return prefer === undefined ? {} : { prefer: reportPreference(catalog.state(name)?.instances ?? [], prefer) };
}

function suspectsOf({ guarded }: Remembered, policy: Policy | undefined): Pick<ServiceReport, 'suspects'> {
  const time = policy?.expiryGuard?.time;
  if (guarded === undefined || guarded.suspects.size === 0 || time === undefined) return {};
  const offset = clock.wallTime() - clock.now();
  const until = [...guarded.suspects.values()].map(({ instance, at }) => {
    const { id } = policy?.portOverride === undefined ? instance : withPort(instance, policy.portOverride);
    return [id, new Date(at + time + offset).toISOString()];
  });
  return { suspects: Object.fromEntries(until) };
}

function leftOutOf(catalog: Catalog, name: string): readonly LeftOut[] {
  const policy = catalog.policy(name);
  const set = catalog.recall(name)?.set;
  return policy === undefined || set === undefined ? [] : leftOut(policy, set, catalog.state(name) ?? {});
}

/** The same for the gauges. */
export function* observed(catalog: Catalog, discoverer: Discoverer): Iterable<Observed> {
  for (const name of catalog.names()) {
    const known = catalog.recall(name);
    const source = discoverer.status(name);
    if (known === undefined || source === undefined) continue;
    const { published } = publishedOf(known);
    yield {
      name,
      method: source.method,
      instances: catalog.state(name)?.instances,
      local: preferenceOf(catalog, name).prefer?.local,
      up: source.reason === null,
      age: source.age,
      parts: source.parts,
      rejected: known.set?.rejected.length ?? 0,
      refused: published && published.refused !== null,
      suspects: known.guarded?.suspects.size ?? 0,
      changedAt: known.changedAt,
    };
  }
}

/** What is worth keeping on disk: the sets in force. */
export function* remembered(catalog: Catalog, discoverer: Discoverer): Iterable<readonly [string, CacheInput]> {
  for (const name of catalog.names()) {
    const { good: set, published, guarded } = catalog.recall(name) ?? {};
    if (set === undefined) continue;
    yield [name, { set, current: discoverer.status(name)?.reason === null, published, suspects: guarded?.suspects }];
  }
}

/** What to say of a service that there is not: which ones there are, the keys of `services`. */
export function noService(name: string, services: object): string {
  return `no service ${name}; there are ${Object.keys(services).sort().join(', ') || 'none'}`;
}
