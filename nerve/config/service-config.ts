import { isDeepStrictEqual } from 'node:util';
import { joinPath, type Problem, type Schema, validate } from '../../common/config/config.ts';
import { isObject } from '../../common/config/formats.ts';
import { keyPath, oneLine, textLike } from '../../common/config/json-values.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { type Instance, makeInstance } from '../../common/instance.ts';
import { InvalidRecord } from '../../common/instance-fields.ts';
import { type CheckConfig, type CheckSources, readChecks } from './check-config.ts';
import { announcedHost, readHost } from './host.ts';
import { addProblems, expandService, type InstanceEntry } from './instances.ts';
import { type RateLimit, readRateLimit } from './rate-limit.ts';

/** One instance of a service that this nerve checks and announces, validated. */
export interface ServiceConfig {
  /** Unique in this nerve. */
  readonly name: string;
  /** The service's name in the configuration; all its instances share it. */
  readonly service: string;
  /** The key in etcd that announces it. */
  readonly key: string;
  /** `check_mocked`: it is meant to have no checks. */
  readonly mocked: boolean;
  /** The record that nerve announces while the service is up. */
  readonly instance: Instance;
  /** Members of the etcd cluster to announce in; null for the cluster of the `etcd` section. */
  readonly etcdHosts: readonly string[] | null;
  readonly checks: readonly CheckConfig[];
  readonly rateLimit: RateLimit;
}

interface ServiceOptions {
  readonly host: string;
  readonly resolve_host: boolean;
  readonly port: number;
  readonly reporter_type: string;
  readonly etcd_host?: string;
  readonly etcd_port: number;
  readonly etcd_path?: string;
  readonly check_interval: number;
  readonly check_mocked: boolean;
  readonly weight?: number;
  readonly backup: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly haproxy_server_options?: string;
}

/** One entry of `services`, besides its `checks`. */
export const serviceSchema: Schema<ServiceOptions> = {
  host: {
    doc: "address or name to announce; or this host's own: auto, auto:ipv4, auto:ipv6, auto:INTERFACE, auto:ec2",
    format: readHost,
    json: textLike(String.raw`^(auto:\S+|[A-Za-z0-9_:][A-Za-z0-9_.:-]*)$`),
    type: 'host',
    default: null,
  },
  resolve_host: {
    doc: 'announce the address of the host name, looked up when nerve reads the configuration, instead of the name',
    format: 'boolean',
    default: false,
  },
  port: { doc: 'port to announce', format: 'port', default: null },
  reporter_type: {
    doc: 'registry to announce in',
    format: readReporter,
    json: textLike('^[Ee][Tt][Cc][Dd]$'),
    type: 'string',
    default: 'etcd',
  },
  etcd_host: { doc: 'etcd member to announce in, instead of the etcd section', format: 'host', default: undefined },
  etcd_port: { doc: 'port of etcd_host', format: 'port', default: 2379 },
  etcd_path: {
    doc: 'folder of keys to announce in; by default /nerve/services/NAME',
    format: readPath,
    json: keyPath,
    type: 'path',
    default: undefined,
  },
  check_interval: { doc: 'pause between two probes of a check', format: 'positive-duration', default: 500 },
  check_mocked: { doc: 'make no checks and always announce the service', format: 'boolean', default: false },
  // SmartStack refuses an empty weight too.
  weight: { doc: 'relative share of traffic, 0 to 256', format: 'weight', default: undefined, nullable: false },
  backup: { doc: 'take traffic only while no other instance can', format: 'boolean', default: false },
  labels: { doc: 'strings by name, for filters in synapse', format: 'labels', default: undefined },
  haproxy_server_options: {
    doc: 'HAProxy server options that synapse should use',
    format: 'string',
    json: textLike(oneLine),
    default: undefined,
  },
};

/**
 * Keys of SmartStack that have no meaning here, and of the tools that write its files: Yelp's nerve-tools name the cluster
 * (`zk_cluster_name`), and Chef's cookbook writes one entry for each port, with all of them in `ports`.
 */
export const acceptedOfServices: readonly string[] = [
  'zk_hosts',
  'zk_cluster_name',
  'ports',
  'use_path_encoding',
  'node_type',
  'ttl_seconds',
  'max_repeated_report_failures',
];

/** Tools write an entry for each port (`api_3000`), all with one `zk_path`: their names alone give each a folder of its own. */
const zkPathUnused =
  'zk_path is ignored, wherever it is: without etcd_path, nerve announces in /nerve/services/NAME, with the name of the ' +
  'entry; etcd_path with the text of zk_path keeps the folder';
const zkPathReplaced = 'zk_path is ignored where etcd_path is given';

/** Validates one entry of `services`. An instance that nerve cannot use is left out, and its problems are reported. */
export async function readServices(
  name: string,
  value: unknown,
  at: { readonly path: string; readonly problems: Problem[] },
  deps: CheckSources & { readonly instanceId: string },
): Promise<readonly ServiceConfig[]> {
  const services: ServiceConfig[] = [];
  for (const entry of expandService(name, value, at)) {
    const found: Problem[] = [];
    const service = await readEntry(entry, found, { ...deps, instanceId: `${deps.instanceId}${entry.suffix}` });
    addProblems(found, entry, at.problems);
    if (service !== undefined) services.push(service);
  }
  return services;
}

/** One instance; `instanceId` is the name that it is announced with. */
async function readEntry(
  entry: InstanceEntry,
  problems: Problem[],
  deps: CheckSources & { readonly instanceId: string },
): Promise<ServiceConfig | undefined> {
  const { name, service, value, path } = entry;
  const options = validate(
    serviceSchema,
    value,
    { path, problems },
    { elsewhere: ['checks', 'rate_limiting', 'zk_path'], accepted: acceptedOfServices },
  );
  if (isObject(value) && Object.hasOwn(value, 'zk_path')) {
    const message = options.etcd_path === undefined ? zkPathUnused : zkPathReplaced;
    problems.push({ path: joinPath(path, 'zk_path'), message, severity: 'warning' });
  }
  const { etcd_path: folder = `/nerve/services/${service}`, weight, labels, backup, haproxy_server_options } = options;
  // A missing host or port is reported by now; a stand-in lets nerve validate the rest too.
  const host = await findHost(options, problems, joinPath(path, 'host'));
  const address = { host: host ?? '127.0.0.1', port: options.port ?? 1 };
  const { checks: checkList, rate_limiting: rateLimiting } = isObject(value) ? value : {};
  const checks = await readChecks(
    checkList,
    { target: { service: name, ...address }, intervalMs: options.check_interval },
    { path: joinPath(path, 'checks'), problems, host: deps.host, checkTypes: deps.checkTypes },
  );
  const rateLimit = readRateLimit(rateLimiting, { path: joinPath(path, 'rate_limiting'), problems });
  if (options.etcd_path === undefined && !pathPattern.test(folder)) {
    const message = `${JSON.stringify(service)} cannot be part of a key; set etcd_path or choose another name`;
    problems.push({ path: entry.parent, message });
  }
  try {
    const instance = makeInstance({
      name: deps.instanceId,
      ...address,
      backup,
      ...(weight !== undefined && { weight }),
      ...(labels !== undefined && { labels }),
      ...(haproxy_server_options !== undefined && { serverOptions: haproxy_server_options }),
    });
    const { etcd_host, etcd_port, check_mocked: mocked } = options;
    return {
      name,
      service,
      key: `${String(folder).replace(/\/+$/, '')}/${instance.id}`,
      instance,
      etcdHosts: etcd_host === undefined ? null : [`${bracketed(etcd_host)}:${etcd_port}`],
      checks: mocked ? [] : checks,
      mocked,
      rateLimit,
    };
  } catch (error) {
    if (!(error instanceof InvalidRecord)) throw error;
    problems.push({ path, message: error.message });
    return undefined;
  }
}

/** The host to announce; undefined, with the problem reported, when there is none. */
async function findHost(
  { host, resolve_host: resolve }: ServiceOptions,
  problems: Problem[],
  path: string,
): Promise<string | undefined> {
  try {
    // A missing host is null, and reported already.
    return host === null ? undefined : await announcedHost(host, resolve);
  } catch (error) {
    problems.push({ path, message: reasonOf(error) });
    return undefined;
  }
}

/** True when a running service need not be restarted for the other configuration. */
export function sameService(a: ServiceConfig, b: ServiceConfig): boolean {
  return isDeepStrictEqual(comparable(a), comparable(b));
}

/** Without the probe functions, which differ at each reading. */
function comparable(config: ServiceConfig): unknown {
  return { ...config, checks: config.checks.map(({ probe: _, ...rest }) => rest) };
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

const pathPattern = /^(?:\/[A-Za-z0-9_.:@%+=~-]+)+\/?$/;

function readPath(value: unknown): string {
  const path = typeof value === 'string' && !value.startsWith('/') ? `/${value}` : value;
  if (typeof path === 'string' && pathPattern.test(path)) return path;
  throw new Error('must be a path such as /nerve/services/api, of A-Z a-z 0-9 _ . : @ % + = ~ - and /');
}

function readReporter(value: unknown): string {
  const type = typeof value === 'string' ? value.toLowerCase() : value;
  if (type === 'etcd') return type;
  if (type === 'zookeeper') throw new Error('must be etcd: announcing in ZooKeeper is not supported');
  throw new Error('must be etcd');
}
