import { hostname } from 'node:os';
import { type AdminConfig, adminSchema, optionalPath, optionalPathJson } from '../../common/admin/options.ts';
import {
  type Document,
  isError,
  joinPath,
  type Problem,
  readConfig,
  type Schema,
  settleProblems,
  validate,
} from '../../common/config/config.ts';
import { formats, isObject } from '../../common/config/formats.ts';
import { durationText, textLike } from '../../common/config/json-values.ts';
import type { Log } from '../../common/daemon/log.ts';
import { type EtcdOptions, readEtcdSection } from '../../common/etcd/client/options.ts';
import { type FleetConfig, readFleet } from '../../common/fleet/options.ts';
import { type Host, thisHost } from '../../common/host.ts';
import { readStatsd, type StatsdConfig } from '../../common/statsd/options.ts';
import { type CheckTypes, ownCheckTypes } from '../check.ts';
import { environmentDocument } from './environment.ts';
import { defaultListen } from './listen.ts';
import { rarelyMeant } from './rarely-meant.ts';
import { readServices, type ServiceConfig, serviceSchema } from './service-config.ts';

/** nerve's configuration, validated. */
export interface NerveConfig {
  readonly instanceId: string;
  readonly etcd: EtcdOptions;
  /** Of the lease. */
  readonly ttlSeconds: number;
  readonly admin: AdminConfig;
  /** A file to touch while nerve works; null for none. */
  readonly heartbeatPath: string | null;
  /** The file that remembers which services are drained; false for none, null for the default path. */
  readonly stateFile: string | false | null;
  /** How long a drained instance may take to finish its open connections. */
  readonly drainTimeMs: number;
  readonly shutdown: ShutdownConfig;
  /** Where nerve asks all synapses whether they have applied a change; false: nowhere. */
  readonly fleet: FleetConfig | false;
  /** Undefined: nerve sends nothing. */
  readonly statsd: StatsdConfig | undefined;
  readonly services: ReadonlyMap<string, ServiceConfig>;
}

interface TopOptions {
  readonly instance_id?: string;
  readonly ttl: number;
  readonly heartbeat_path: string | null;
  readonly state_file_path: string | false | null;
  readonly drain_time: number;
}

/** The default path of its control socket, as the documentation puts it. */
export const socketDefault = 'by default in $RUNTIME_DIRECTORY, /run/nerve or $TMPDIR/nerve-UID, named after the file';

/** The top level, besides `services`, `etcd` and `admin`. */
export const nerveSchema: Schema<TopOptions> = {
  instance_id: {
    doc: 'name of this host in the registry; by default its host name',
    format: readInstanceId,
    json: textLike('^[A-Za-z0-9_.:-]{1,128}$'),
    type: 'string',
    default: undefined,
  },
  ttl: {
    doc: 'lease time: how long the instances of a crashed host stay visible',
    format: readTtl,
    json: { anyOf: [{ type: 'number', minimum: 2, maximum: 3600 }, textLike(durationText)] },
    type: 'duration',
    default: 10_000,
  },
  heartbeat_path: {
    doc: 'file that nerve touches while it works, for a watchdog',
    format: 'optional-non-empty-string',
    names: 'file to write',
    default: null,
  },
  state_file_path: {
    doc: 'file that remembers which services are drained, or false; by default in $STATE_DIRECTORY, /var/lib/nerve or the folder of the control socket',
    format: optionalPath,
    json: optionalPathJson,
    names: 'file to write',
    default: null,
  },
  drain_time: {
    doc: 'how long a drained instance may take to finish its connections; nerve drain --wait waits for it when no synapse can be asked',
    format: 'duration',
    default: 30_000,
  },
};

/**
 * Keys of SmartStack that have no meaning here: nerve repairs a failed announcement without a limit, and no services announce
 * themselves at `listen_port`, which Chef's cookbook and the Ansible role write for every version. Yelp's fork configures its
 * metrics in `prometheus`; those of nerve are at `admin.listen`.
 */
export const acceptedAtTop: readonly string[] = [
  'max_repeated_report_failures',
  'listen_port',
  'ephemeral_service_expiry',
  'prometheus',
];

/** A file of `service_conf_dir` that is given as the configuration has these at its top. */
const optionsOfServices = { keys: [...Object.keys(serviceSchema), 'checks', 'rate_limiting'], path: 'services.NAME' };

/** What to read the configuration from. */
export interface ConfigSource {
  /** Configuration file; without one, the environment describes one service. */
  readonly file: string | undefined;
  /** Overrides the file's `instance_id`. */
  readonly instanceId?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What reading a configuration needs from outside. */
export interface ConfigDeps {
  /** For warnings. */
  readonly log?: Log;
  /** Default: nerve's own checks. */
  readonly checkTypes?: CheckTypes;
  /** Default: this machine. */
  readonly host?: Pick<Host, 'exec'>;
}

/**
 * Reads and validates everything.
 * @throws {ConfigError} with all problems of all files
 */
export async function loadConfig(source: ConfigSource, deps: ConfigDeps = {}): Promise<NerveConfig> {
  const { file, env } = source;
  const document = file === undefined ? environmentDocument(env) : await readConfig(file, { env });
  const problems: Problem[] = [];
  const config = await validateDocument(document, problems, { ...deps, instanceId: source.instanceId });
  settleProblems(problems, document, deps.log);
  return config;
}

async function validateDocument(
  { value }: Document,
  problems: Problem[],
  deps: ConfigDeps & { readonly instanceId: string | undefined },
): Promise<NerveConfig> {
  const { instanceId: givenId, checkTypes = ownCheckTypes, host = thisHost } = deps;
  const top = { path: '', problems };
  const elsewhere = ['services', 'service_conf_dir', 'etcd', 'admin', 'shutdown', 'fleet', 'statsd'];
  const withId = givenId === undefined ? value : { ...value, instance_id: givenId };
  const {
    instance_id: instanceId = hostname(),
    ttl,
    heartbeat_path,
    state_file_path: stateFile,
    drain_time: drainTimeMs,
  } = validate(nerveSchema, withId, top, { elsewhere, accepted: acceptedAtTop, below: optionsOfServices });
  const etcd = readEtcdSection(value.etcd, problems);
  const admin = validate(adminSchema(defaultListen, socketDefault), value.admin, { path: 'admin', problems });
  const shutdown = readShutdown(value.shutdown, problems);
  const fleet = readFleet(value.fleet, problems);
  const statsd = readStatsd(value.statsd, problems);
  const services = new Map<string, ServiceConfig>();
  const section = value.services ?? {};
  if (!isObject(section)) problems.push({ path: 'services', message: 'must be an object of services by name' });
  for (const [name, item] of Object.entries(isObject(section) ? section : {})) {
    const path = joinPath('services', name);
    for (const service of await readServices(name, item, { path, problems }, { instanceId, checkTypes, host })) {
      const message = `${service.name} is also the name of an instance of services.${services.get(service.name)?.service}`;
      if (services.has(service.name)) problems.push({ path, message });
      services.set(service.name, service);
    }
  }
  reportSharedKeys(services, problems);
  if (!problems.some(isError)) problems.push(...rarelyMeant({ services, etcd }, section));
  return {
    instanceId,
    etcd,
    ttlSeconds: Math.ceil(ttl / 1000),
    admin,
    heartbeatPath: heartbeat_path,
    stateFile,
    drainTimeMs,
    shutdown,
    fleet,
    statsd,
    services,
  };
}

/** Two services with one key would overwrite each other again and again. */
function reportSharedKeys(services: ReadonlyMap<string, ServiceConfig>, problems: Problem[]): void {
  const owners = new Map<string, string>();
  for (const { name, key, etcdHosts } of services.values()) {
    const clusterAndKey = JSON.stringify([key, etcdHosts]);
    const owner = owners.get(clusterAndKey);
    const message = `would be announced under the same key as services.${owner}: ${key}`;
    if (owner === undefined) owners.set(clusterAndKey, name);
    else problems.push({ path: joinPath('services', name), message });
  }
}

function readInstanceId(value: unknown): string {
  if (typeof value === 'string' && /^[A-Za-z0-9_.:-]{1,128}$/.test(value)) return value;
  throw new Error('must be a string of up to 128 of A-Z a-z 0-9 _ . : -');
}

/** A lease time. A short one is at risk: an election among the etcd members can outlast it. */
function readTtl(value: unknown): number {
  const allowed = 'must be a time from 2s to 1h';
  const ttl = formats.duration(value);
  if (ttl < 2000 || ttl > 3_600_000) throw new Error(allowed);
  return ttl;
}

/** `shutdown`: what happens to the announcements when nerve stops. */
export interface ShutdownConfig {
  /** Milliseconds for which the instances are announced as draining before nerve withdraws them. */
  readonly drain: number;
  /** Leave the announcements to the next process. */
  readonly keep: boolean;
}

/** `shutdown`. */
export const shutdownSchema: Schema<ShutdownConfig> = {
  drain: {
    doc: 'announce the instances as draining before withdrawing them: until no HAProxy has a connection to them, for this time at most',
    format: 'duration',
    default: 0,
  },
  keep: {
    doc: 'withdraw nothing: the next nerve takes over when it starts within the ttl',
    format: 'boolean',
    default: false,
  },
};

/** Validates `shutdown`. */
export function readShutdown(value: unknown, problems: Problem[]): ShutdownConfig {
  const shutdown = validate(shutdownSchema, value, { path: 'shutdown', problems });
  if (shutdown.keep && shutdown.drain > 0) {
    const message = 'keep and drain exclude each other: with keep the instances go on taking traffic';
    problems.push({ path: 'shutdown', message });
  }
  return shutdown;
}
