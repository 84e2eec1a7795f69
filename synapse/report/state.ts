import { clock } from '../../common/async/clock.ts';
import { type Fields, field, optional } from '../../common/cli/json-shape.ts';
import type { Instance } from '../../common/instance.ts';
import type { Catalog, Remembered } from '../catalog/catalog.ts';
import { leftOut, rulesOf } from '../catalog/left-out.ts';
import { withPort } from '../catalog/port-override.ts';
import { type PreferenceReport, reportPreference } from '../catalog/preference.ts';
import type { Policy } from '../catalog/select.ts';
import type { CacheInput } from '../catalog/state-file.ts';
import type { Discoverer } from '../discovery/discoverer.ts';
import type { Observed } from '../metrics.ts';
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
  const offset = clock.wallTime() - clock.now();
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

/** What to say of a service that there is not: which ones there are, the keys of `services`. */
export function noService(name: string, services: object): string {
  return `no service ${name}; there are ${Object.keys(services).sort().join(', ') || 'none'}`;
}

/** One server as HAProxy sees it. */
export const server: Fields = {
  fields: {
    name: field('text', 'name of the server'),
    status: field('text', "HAProxy's word: UP, DOWN, DRAIN, MAINT, no check, …"),
    current: field('number', 'requests or connections that it handles now'),
    queued: field('number', 'those that wait for it'),
    sessions: field('number', 'since its HAProxy worker began'),
    requests: field({ orNull: 'number' }, 'of HTTP; null in TCP mode'),
    errors: field('number', 'answers 500 to 599, and connections and answers that failed'),
    active: field('number', '1 when it takes traffic'),
    backup: field('number', '1 for a backup'),
    address: field('text', 'host:port; empty where HAProxy does not say'),
    weight: field('number', 'in force'),
    check: field('text', 'the last check, such as L4OK; empty without checks'),
    detail: field('text', 'what that check said'),
    since: field('number', 'seconds since its status changed'),
  },
};

const socket: Fields = {
  fields: {
    path: field('text', "HAProxy's runtime API"),
    connected: field('boolean', 'it answers'),
    version: field({ orNull: 'text' }, 'of HAProxy'),
    workerPid: field({ orNull: 'number' }, 'its worker in charge'),
    generation: field({ orNull: 'text' }, 'the configuration that this worker has loaded'),
    lastError: field({ orNull: 'text' }, 'why it does not answer'),
  },
};

const held: Fields = {
  fields: {
    service: field('text', 'of which service'),
    backend: field('text', "HAProxy's name of that"),
    name: field('text', 'of the server'),
    held: field('text', 'what somebody else set: maintenance, drain or weight'),
  },
};

/** HAProxy's output. Without a running synapse only the sockets and what cannot be in HAProxy are known. */
export const outputShape: Fields = {
  fields: {
    sockets: field({ list: socket }, 'one for each HAProxy'),
    problems: field({ by: 'SERVICE', of: 'text' }, 'services that cannot be in HAProxy, with the reason'),
    generation: optional({ orNull: 'text' }, 'the configuration that is in the file; null before the first'),
    wantedGeneration: optional('text', 'another one while that is being checked, or when it was refused'),
    rejected: optional({ orNull: 'text' }, 'what HAProxy said when it refused that as a whole'),
    quarantined: optional({ by: 'SERVICE', of: 'text' }, 'what HAProxy refuses of single services'),
    pendingReload: optional({ list: 'text' }, 'why a reload is due'),
    oldWorkers: optional({ orNull: 'number' }, 'workers that finish their connections; null when nobody can be asked'),
    lastError: optional({ orNull: 'text' }, 'why the last reload or write failed'),
    fileWrittenAt: optional({ orNull: 'text' }, 'when the file was last written, ISO 8601'),
    lastReloadAt: optional({ orNull: 'text' }, 'when HAProxy was last reloaded, ISO 8601'),
    held: optional({ list: held }, 'servers that somebody else changed, and that stay so'),
    reloadFree: optional(
      {
        fields: {
          backends: field({ by: 'SERVICE', of: 'text' }, 'which backend each service has'),
          others: field({ by: 'SERVICE', of: 'text' }, 'why a service on one of the ports needs reloads all the same'),
        },
      },
      'with reload_free_services',
    ),
  },
};

/** One instance. */
export const instance: Fields = {
  fields: {
    id: field('text', 'unique within the service; the name of the server in HAProxy'),
    name: field('text', "whose instance it is (nerve's instance_id); empty when the source knows no name"),
    host: field('text', 'address or host name'),
    port: field('number', '1 to 65535'),
    state: field('text', 'up, drain or down'),
    backup: field('boolean', 'used only while no other one works'),
    weight: optional('number', 'relative share of traffic, 0 to 256'),
    labels: optional({ by: 'LABEL', of: 'text' }, 'what its announcer says of it'),
    serverOptions: optional('text', "HAProxy's server options that its announcer asks for"),
  },
};

const leftOutFields: Fields = {
  fields: { id: field('text', 'id of the instance'), reason: field('text', 'which rule leaves it out, and why') },
};

const rejected: Fields = {
  fields: {
    where: field('text', 'where the record is: an etcd key, a file and line'),
    reason: field('text', 'why it cannot be used'),
  },
};

const part: Fields = {
  fields: {
    name: field('text', 'name of the source'),
    method: field('text', 'discovery method'),
    role: field('text', 'used: its instances count; asked: it runs and they do not; idle: it does not run'),
    instances: field({ orNull: 'number' }, 'how many it has that can take traffic; null before its first answer'),
    reason: field({ orNull: 'text' }, 'why what it says may be out of date; null while it is current'),
  },
};

/** One service, as in `/api/v1/state`. */
export const report: Fields = {
  fields: {
    method: field('text', 'discovery method'),
    origin: field('text', 'where the instances come from: discovered, previous, defaults, cache, nothing'),
    reason: field({ orNull: 'text' }, 'why they may be out of date; null while they are current'),
    age: field({ orNull: 'number' }, 'seconds since the last proof of that; null when the source does not say'),
    sources: optional({ list: part }, 'each source of a service that has several'),
    revision: field({ orNull: 'text' }, "how the source names its last set: etcd's revision"),
    changed_at: field(
      { orNull: 'text' },
      'when the running synapse last saw the instances change, ISO 8601; null when nothing is known or synapse is down',
    ),
    answered_at: optional('text', 'when the source first answered the running synapse, ISO 8601'),
    published: optional(
      {
        fields: {
          where: field({ orNull: 'text' }, 'where the configuration in the registry is that is in force'),
          refused: field({ orNull: 'text' }, 'why the newest one is refused'),
        },
      },
      'configuration of the service in the registry',
    ),
    rules: optional({ list: 'text' }, 'what chooses among the instances that were found'),
    prefer: optional(
      {
        fields: {
          label: field('text', 'the label that says where an instance is'),
          value: field('text', 'what it says of local ones'),
          local: field('number', 'how many are local'),
          in_force: field('boolean', 'local ones come first now'),
        },
      },
      'which instances come first',
    ),
    suspects: optional({ by: 'ID', of: 'text' }, 'kept although their leases ran out, with the time until which'),
    instances: field({ orNull: { list: instance } }, 'those in use; null while nothing is known'),
    left_out: field({ list: leftOutFields }, 'found and not used, at most 100'),
    rejected: field({ list: rejected }, 'records that cannot be used, at most 100'),
  },
};
