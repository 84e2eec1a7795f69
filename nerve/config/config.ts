import { hostname } from 'node:os';
import { type AdminConfig, adminSchema, optionalPath } from '../../common/admin/options.ts';
import {
  type Document,
  joinPath,
  type Problem,
  readConfig,
  type Schema,
  settleProblems,
  validate,
} from '../../common/config/config.ts';
import { formats, isObject } from '../../common/config/formats.ts';
import type { Log } from '../../common/daemon/log.ts';
import { checkEtcdOptions, type EtcdOptions, etcdSchema } from '../../common/etcd/client/options.ts';
import { readStatsd, type StatsdConfig } from '../../common/statsd/options.ts';
import { environmentDocument } from './environment.ts';
import { readServices, type ServiceConfig } from './service-config.ts';

/** nerve's configuration, validated. */
export interface NerveConfig {
  readonly instanceId: string;
  readonly etcd: EtcdOptions;
  /** Lease seconds. */
  readonly ttl: number;
  readonly admin: AdminConfig;
  /** A file to touch while nerve works; null for none. */
  readonly heartbeatPath: string | null;
  /** Where nerve remembers what is drained; false for nowhere, null for the default place. */
  readonly stateFile: string | false | null;
  /** How long a drained instance gets to finish what it has. Milliseconds. */
  readonly drainTime: number;
  readonly shutdown: ShutdownConfig;
  /** Undefined: nothing is sent. */
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

/** Where nerve's HTTP is by default. */
export const defaultListen = '127.0.0.1:3210';

/** Where its control socket is by default, for people. */
export const socketDefault = 'by default in $RUNTIME_DIRECTORY, /run/nerve or $TMPDIR/nerve-UID, named after the file';

/** The top level, besides `services`, `etcd` and `admin`. */
export const nerveSchema: Schema<TopOptions> = {
  instance_id: {
    doc: 'name of this host in the registry; by default its host name',
    format: readInstanceId,
    type: 'string',
    default: undefined,
  },
  ttl: { doc: 'lease time: how long a crashed host stays visible', format: readTtl, type: 'duration', default: 10_000 },
  heartbeat_path: {
    doc: 'file to touch while nerve works, for a watchdog',
    format: 'optional-non-empty-string',
    default: null,
  },
  state_file_path: {
    doc: 'file that remembers what is drained, or false; by default in $STATE_DIRECTORY, /var/lib/nerve or the folder of the control socket',
    format: optionalPath,
    type: 'path',
    default: null,
  },
  drain_time: {
    doc: 'how long a drained instance gets to finish what it has: what nerve drain --wait waits for',
    format: 'duration',
    default: 30_000,
  },
};

/** Keys of the original that have no meaning here: a broken announcement is repaired. */
const accepted = ['max_repeated_report_failures'];

export interface LoadOptions {
  /** Configuration file; without one, the environment names one service. */
  readonly file: string | undefined;
  /** Goes before the file's `instance_id`. */
  readonly instanceId?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads and validates everything.
 * @throws {ConfigError} with all problems of all files
 */
export async function loadConfig(options: LoadOptions, log?: Log): Promise<NerveConfig> {
  const { file, env } = options;
  const document = file === undefined ? environmentDocument(env) : await readConfig(file, { env });
  const problems: Problem[] = [];
  const config = await validateDocument(document, options.instanceId, problems);
  settleProblems(problems, document, log);
  return config;
}

async function validateDocument(
  document: Document,
  givenId: string | undefined,
  problems: Problem[],
): Promise<NerveConfig> {
  const { value } = document;
  const top = { path: '', problems };
  const elsewhere = ['services', 'service_conf_dir', 'etcd', 'admin', 'shutdown', 'statsd'];
  const withId = givenId === undefined ? value : { ...value, instance_id: givenId };
  const {
    instance_id: instanceId = hostname(),
    ttl,
    heartbeat_path,
    state_file_path: stateFile,
    drain_time: drainTime,
  } = validate(nerveSchema, withId, top, { elsewhere, accepted });
  const etcd = validate(etcdSchema, value.etcd, { path: 'etcd', problems });
  const admin = validate(adminSchema(defaultListen, socketDefault), value.admin, { path: 'admin', problems });
  const shutdown = readShutdown(value.shutdown, problems);
  const statsd = readStatsd(value.statsd, problems);
  if (!problems.some(({ path }) => path.startsWith('etcd'))) {
    try {
      checkEtcdOptions(etcd);
    } catch (error) {
      problems.push({ path: 'etcd', message: (error as Error).message });
    }
  }
  const services = new Map<string, ServiceConfig>();
  const section = value.services ?? {};
  if (!isObject(section)) problems.push({ path: 'services', message: 'must be an object of services by name' });
  for (const [name, item] of Object.entries(isObject(section) ? section : {})) {
    const path = joinPath('services', name);
    for (const service of await readServices(name, item, { path, problems, instanceId })) {
      const message = `${service.name} is also the name of an instance of services.${services.get(service.name)?.service}`;
      if (services.has(service.name)) problems.push({ path, message });
      services.set(service.name, service);
    }
  }
  reportSharedKeys(services, problems);
  return {
    instanceId,
    etcd,
    ttl: Math.ceil(ttl / 1000),
    admin,
    heartbeatPath: heartbeat_path,
    stateFile,
    drainTime,
    shutdown,
    statsd,
    services,
  };
}

/** Two services under one key would overwrite each other for ever. */
function reportSharedKeys(services: ReadonlyMap<string, ServiceConfig>, problems: Problem[]): void {
  const owners = new Map<string, string>();
  for (const { name, key, etcdHosts } of services.values()) {
    const place = JSON.stringify([key, etcdHosts]);
    const owner = owners.get(place);
    const message = `would be announced under the same key as services.${owner}: ${key}`;
    if (owner === undefined) owners.set(place, name);
    else problems.push({ path: joinPath('services', name), message });
  }
}

function readInstanceId(value: unknown): string {
  if (typeof value === 'string' && /^[A-Za-z0-9_.:-]{1,128}$/.test(value)) return value;
  throw new Error('must be a string of up to 128 of A-Z a-z 0-9 _ . : -');
}

/** etcd grants whole seconds; below five, one slow election loses the lease. */
function readTtl(value: unknown): number {
  const allowed = 'must be a time from 2s to 1h';
  const ttl = formats.duration(value);
  if (ttl < 2000 || ttl > 3_600_000) throw new Error(allowed);
  return ttl;
}

/** What happens to the announcements at the end. */
export interface ShutdownConfig {
  /** Milliseconds between showing them as draining and withdrawing them. */
  readonly drain: number;
  /** Leave them to the next process. */
  readonly keep: boolean;
}

/** `shutdown`. */
export const shutdownSchema: Schema<ShutdownConfig> = {
  drain: {
    doc: 'show the instances as draining for so long before they are withdrawn',
    format: 'duration',
    default: 0,
  },
  keep: {
    doc: 'withdraw nothing: the next nerve, started within the ttl, takes over',
    format: 'boolean',
    default: false,
  },
};

export function readShutdown(value: unknown, problems: Problem[]): ShutdownConfig {
  const shutdown = validate(shutdownSchema, value, { path: 'shutdown', problems });
  if (shutdown.keep && shutdown.drain > 0) {
    const message = 'keep and drain exclude each other: what is kept goes on taking traffic';
    problems.push({ path: 'shutdown', message });
  }
  return shutdown;
}
