import { joinPath, type Schema, type SectionContext, validate } from '../../common/config/config.ts';
import { isObject, readRecords } from '../../common/config/formats.ts';
import { networks, records, textLike } from '../../common/config/json-values.ts';
import type { EtcdOptions } from '../../common/etcd/client/options.ts';
import type { Instance } from '../../common/instance.ts';
import { type Networks, readNetworks } from '../addresses/networks.ts';
import type { CatalogService } from '../catalog/catalog-entry.ts';
import { usualMaxInstances } from '../catalog/limit.ts';
import { readPreference } from '../catalog/preference.ts';
import type { Policy } from '../catalog/select.ts';
import type { Discovery } from '../discovery/discoverer.ts';
import { serviceFileOutputSchema } from '../file-output.ts';
import type { HaproxyConfig } from '../haproxy/options/config.ts';
import { haproxySection } from '../haproxy/options/section.ts';
import type { ServiceHaproxyConfig } from '../haproxy/options/service-config.ts';
import { mergePublished, type PublishedBase, publishedBase } from '../haproxy/published/merge.ts';
import { readDiscovery } from './discovery-config.ts';
import { readFilters } from './filters.ts';
import { withDiscoveryMulti } from './multi-config.ts';

/** One service, ready to be run. */
export interface ServiceConfig extends CatalogService {
  readonly discovery: Discovery;
  /** What `withPublished` puts a published configuration on top of. */
  readonly publishedBase?: PublishedBase;
  /** Whether `file_output` writes a file for it; default true. */
  readonly hasFile?: boolean;
}

interface ServiceOptions {
  readonly default_servers: readonly Instance[];
  readonly keep_default_servers: boolean;
  readonly use_previous_backends: boolean;
  readonly backend_port_override?: number;
  readonly leader_election: boolean;
  readonly max_instances: number;
  readonly instance_networks?: Networks;
  readonly expiry_guard: number | false;
  readonly expiry_guard_time: number;
  readonly expiry_hold: number;
}

/** A service's own options, beside its sections `discovery`, `haproxy` and so on. */
export const serviceSchema: Schema<ServiceOptions> = {
  default_servers: {
    doc: 'Instances ({host, port, name, weight, …}) to use before the first discovery and while discovery finds none.',
    format: readRecords,
    json: records,
    type: 'list',
    default: [],
  },
  keep_default_servers: {
    doc: 'Use the default servers beside the discovered instances, always.',
    format: 'boolean',
    default: false,
  },
  use_previous_backends: {
    doc: 'Keep the last instances when discovery finds none and there are no default servers.',
    format: 'boolean',
    default: true,
  },
  backend_port_override: {
    doc: 'Port of every discovered instance, whatever its record says.',
    format: 'port',
    default: undefined,
  },
  leader_election: {
    doc: 'Use only the oldest instance.',
    format: 'boolean',
    default: false,
  },
  max_instances: {
    doc: 'The most instances that are used; of more, those that were announced first. It protects HAProxy from a flood of announcements.',
    format: 'positive-integer',
    default: usualMaxInstances,
  },
  instance_networks: {
    doc: 'Networks in which instances may be, such as [10.0.0.0/8]; others are left out. Default: those of the top level.',
    format: readNetworks,
    json: networks,
    type: 'list',
    default: undefined,
  },
  expiry_guard: {
    doc: 'Lost leases are a wave when they are two or more within 30 s and more than this share of the service, or of all leases: then instances that answer are kept as suspects. false: drop instances as soon as their leases are gone.',
    format: readShareOrFalse,
    json: {
      anyOf: [{ enum: [false] }, { type: 'number', minimum: 0, exclusiveMaximum: 1 }, textLike(String.raw`\d|^false$`)],
    },
    type: 'number or false',
    default: 0.5,
  },
  expiry_guard_time: {
    doc: 'How long to keep suspects at most.',
    format: 'positive-duration',
    default: 300_000,
  },
  expiry_hold: {
    doc: 'How long to keep an instance that answers after its lease is gone, because a wave may follow.',
    format: 'positive-duration',
    default: 5_000,
  },
};

function readShareOrFalse(value: unknown): number | false {
  if (value === false || value === 'false') return false;
  const share = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof share === 'number' && share >= 0 && share < 1) return share;
  throw new Error('must be a share from 0 to less than 1, or false');
}

/** Keys of SmartStack that would change the instances in use if they were supported: they are errors, not ignored. */
const refused: Readonly<Record<string, string>> = {
  load_test_concurrency: 'is not supported; list the services one by one',
};

/** Sections that other outputs of SmartStack have in each service: Yelp's synapse-tools write `nginx: {disabled: true}`. */
export const acceptedOfServices: readonly string[] = ['nginx'];

/** Reads `services.NAME`. Undefined when problems leave nothing to run. */
export async function readService(
  value: unknown,
  at: SectionContext,
  from: {
    readonly service: string;
    readonly etcd: EtcdOptions;
    readonly haproxy: HaproxyConfig;
    readonly networks?: Networks | undefined;
  },
): Promise<ServiceConfig | undefined> {
  const { path, problems } = at;
  if (!isObject(value)) {
    problems.push({ path, message: 'must be an object with discovery and the options of the service' });
    return undefined;
  }
  for (const [key, message] of Object.entries(refused)) {
    if (Object.hasOwn(value, key)) problems.push({ path: joinPath(path, key), message });
  }
  const elsewhere = ['discovery', 'discovery_multi', 'prefer', 'file_output', haproxySection.key];
  const options = validate(serviceSchema, value, at, {
    elsewhere,
    refused: Object.keys(refused),
    accepted: acceptedOfServices,
  });
  const discoveryAt = { path: joinPath(path, 'discovery'), problems };
  const multiAt = { path: joinPath(path, 'discovery_multi'), problems };
  const several = value.discovery_multi !== undefined && value.discovery_multi !== null;
  const found = several
    ? withDiscoveryMulti(value.discovery, value.discovery_multi, multiAt, discoveryAt.path)
    : value.discovery;
  // In a section with a fallback, the filters belong to the first source alone.
  const filters = isObject(found) && !found.fallback ? readFilters(found, several ? multiAt : discoveryAt) : [];
  const section = { path: joinPath(path, haproxySection.key), problems };
  const { portOverride: older, rest } = readOlderPortOverride(value[haproxySection.key], section);
  const portOverride = options.backend_port_override ?? older;
  const backupPort = isObject(rest) ? (rest.server_backup_port ?? undefined) : undefined;
  const ports = {
    ...(portOverride !== undefined && { port: portOverride }),
    ...(backupPort !== undefined && { server_backup_port: backupPort }),
  };
  const discovery = await readDiscovery(found, several ? multiAt : discoveryAt, { ...from, ports });
  const files = validate(serviceFileOutputSchema, value.file_output, { path: joinPath(path, 'file_output'), problems });
  const prefer = readPreference(value.prefer, at);
  const own = prefer?.others === 'backup' ? withAllBackups(rest) : rest;
  const config = haproxySection.readService(own, section);
  if (hasNoServers(found, { config, defaultServers: options.default_servers })) {
    const message = 'is empty, so that the service can have no servers: list them here, or choose another method';
    problems.push({ path: joinPath(discoveryAt.path, 'servers'), message, severity: 'warning' });
  }
  const base = publishedBase(from.service, config, from.haproxy);
  const withPublished = (published: unknown) => mergePublished(base, published);
  const policy: Policy = {
    defaultServers: options.default_servers,
    keepDefaultServers: options.keep_default_servers,
    usePreviousBackends: options.use_previous_backends,
    portOverride: discovery?.takesPorts === true ? undefined : portOverride,
    filters,
    leaderElection: options.leader_election,
    maxInstances: options.max_instances,
    instanceNetworks: options.instance_networks ?? from.networks,
    prefer,
    expiryGuard:
      options.expiry_guard === false
        ? undefined
        : { share: options.expiry_guard, holdMs: options.expiry_hold, suspectMs: options.expiry_guard_time },
  };
  return discovery && { policy, config, withPublished, publishedBase: base, discovery, hasFile: !files.disabled };
}

/** True for a service that lists its servers and lists none. */
function hasNoServers(
  discovery: unknown,
  { config, defaultServers }: { readonly config: ServiceHaproxyConfig; readonly defaultServers: readonly unknown[] },
): boolean {
  if (!isObject(discovery) || discovery.module !== undefined || config.disabled) return false;
  const { method, servers } = discovery;
  const isListed = method === 'static' || method === 'base';
  const isEmpty = servers === undefined || servers === null || (Array.isArray(servers) && servers.length === 0);
  const hasOwnLines = [...config.backend, ...config.listen].some((line) => /^\s*server(?:-template)?\s/.test(line));
  return isListed && isEmpty && defaultServers.length === 0 && !hasOwnLines && (discovery.fallback ?? null) === null;
}

/** Without this, HAProxy gives the whole load to the first backup server. */
function withAllBackups(section: unknown): unknown {
  if (section !== undefined && section !== null && !isObject(section)) return section;
  const { backend, listen } = section ?? {};
  if (/option\s+allbackups/.test(JSON.stringify([backend, listen]))) return section;
  const lines = typeof backend === 'string' ? backend.split('\n') : (backend ?? []);
  return Array.isArray(lines) ? { ...section, backend: [...lines, 'option allbackups'] } : section;
}

/** Reads the older name of `backend_port_override`: `server_port_override` in the service's `haproxy` section. */
function readOlderPortOverride(
  section: unknown,
  at: SectionContext,
): { portOverride: number | undefined; rest: unknown } {
  if (!isObject(section) || !Object.hasOwn(section, 'server_port_override')) {
    return { portOverride: undefined, rest: section };
  }
  const { server_port_override: value, ...rest } = section;
  const schema: Schema<{ readonly server_port_override?: number }> = {
    server_port_override: { doc: 'Older name of backend_port_override.', format: 'port', default: undefined },
  };
  const given = value === null ? undefined : value;
  return { portOverride: validate(schema, { server_port_override: given }, at).server_port_override, rest };
}
