import type { Instance } from '../../common/instance.ts';
import type { CacheInput } from '../cache.ts';
import type { Catalog, Remembered } from '../catalog.ts';
import type { Discoverer } from '../discovery.ts';
import type { Observed } from '../metrics.ts';
import { leftOut, rulesOf } from '../select/leftout.ts';
import { withPort } from '../select/portoverride.ts';
import { type PreferenceReport, reportPreference } from '../select/preference.ts';
import type { Policy } from '../select/select.ts';
import type { LeftOut, PartStatus, Rejected } from '../source.ts';

/** What `/api/v1/state` and `synapse status` show. */
export interface SynapseState {
  readonly services: Readonly<Record<string, ServiceReport>>;
  readonly haproxy: unknown;
  /** Where files for other readers go, and why they may be out of date; not there when there are none. */
  readonly file_output?: { readonly directory: string; readonly reason: string | null };
}

/** One service, for people. */
export interface ServiceReport {
  /** The discovery method. */
  readonly method: string;
  /** Where the instances come from: discovered, previous, defaults, cache, nothing. */
  readonly origin: string;
  /** Why they may be out of date; null while they are known to be current. */
  readonly reason: string | null;
  /** Seconds since the last proof that they are current; null when the source does not say. */
  readonly age: number | null;
  /** How each source is doing, where a service has several. */
  readonly sources?: readonly PartStatus[];
  /** How the source names its last set; etcd's revision. */
  readonly revision: string | null;
  /** When they last changed, ISO 8601. */
  readonly changed_at: string | null;
  /** When the source first answered the running synapse, ISO 8601; not there while it has not. */
  readonly answered_at?: string;
  /** Where the configuration in the registry is that is in force, and why a newer one is refused. */
  readonly published?: { readonly where: string | null; readonly refused: string | null };
  /** What chooses among the instances that were found; not there when all are used. */
  readonly rules?: readonly string[];
  /** Which instances come first, and whether they do. */
  readonly prefer?: PreferenceReport;
  /** Kept although their leases expired, with the time until which they are, ISO 8601, by id. */
  readonly suspects?: Readonly<Record<string, string>>;
  /** Null while nothing is known. */
  readonly instances: readonly Instance[] | null;
  /** What the source found and the service's rules leave out. */
  readonly left_out: readonly LeftOut[];
  /** Records that cannot be used. */
  readonly rejected: readonly Rejected[];
}

/** How many instances left out, and how many rejected records, are shown of one service. */
const maxShown = 100;

/** All services, or those named. */
export function stateOf<Config>(
  catalog: Catalog<Config>,
  discoverer: Discoverer,
  haproxy: unknown,
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

function preferenceOf<Config>(catalog: Catalog<Config>, name: string): Pick<ServiceReport, 'prefer'> {
  const prefer = catalog.policy(name)?.prefer;
  return prefer === undefined ? {} : { prefer: reportPreference(catalog.state(name)?.instances ?? [], prefer) };
}

function suspectsOf({ guarded }: Remembered, policy: Policy | undefined): Pick<ServiceReport, 'suspects'> {
  const time = policy?.expiryGuard?.time;
  if (guarded === undefined || guarded.suspects.size === 0 || time === undefined) return {};
  const offset = Date.now() - performance.now();
  const until = [...guarded.suspects.values()].map(({ instance, at }) => {
    const { id } = policy?.portOverride === undefined ? instance : withPort(instance, policy.portOverride);
    return [id, new Date(at + time + offset).toISOString()];
  });
  return { suspects: Object.fromEntries(until) };
}

function leftOutOf<Config>(catalog: Catalog<Config>, name: string): readonly LeftOut[] {
  const policy = catalog.policy(name);
  const set = catalog.recall(name)?.set;
  return policy === undefined || set === undefined ? [] : leftOut(policy, set, catalog.state(name) ?? {});
}

/** The same for the gauges. */
export function* observed<Config>(catalog: Catalog<Config>, discoverer: Discoverer): Iterable<Observed> {
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
export function* remembered<Config>(
  catalog: Catalog<Config>,
  discoverer: Discoverer,
): Iterable<readonly [string, CacheInput]> {
  for (const name of catalog.names()) {
    const { good: set, published, guarded } = catalog.recall(name) ?? {};
    if (set === undefined) continue;
    yield [name, { set, current: discoverer.status(name)?.reason === null, published, suspects: guarded?.suspects }];
  }
}
