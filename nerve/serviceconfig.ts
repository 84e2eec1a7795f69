import { isDeepStrictEqual } from 'node:util';
import { joinPath, type Problem, type Schema, validate } from '../common/config.ts';
import { formats, isObject } from '../common/formats.ts';
import { type Instance, InvalidRecord, instanceId, makeInstance } from '../common/instance.ts';
import { primaryAddress } from './address.ts';
import { type CheckConfig, readChecks } from './checkconfig.ts';

/** One service that this nerve looks after, validated. */
export interface ServiceConfig {
  readonly name: string;
  /** Where it is announced. */
  readonly key: string;
  /** What is announced while it is up. */
  readonly instance: Instance;
  /** Where in etcd, when not in the cluster of the whole file: addresses of members. */
  readonly etcdHosts: readonly string[] | null;
  /** Milliseconds between the end of one probe and the start of the next. */
  readonly checkInterval: number;
  readonly checks: readonly CheckConfig[];
}

interface ServiceOptions {
  readonly host: string;
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
    doc: "address to announce; auto is this host's primary address",
    format: readHost,
    type: 'host',
    default: null,
  },
  port: { doc: 'port to announce', format: 'port', default: null },
  reporter_type: { doc: 'registry to announce in', format: readReporter, type: 'string', default: 'etcd' },
  etcd_host: { doc: 'etcd member to announce in, instead of the etcd section', format: 'host', default: undefined },
  etcd_port: { doc: 'port of etcd_host', format: 'port', default: 2379 },
  etcd_path: {
    doc: 'where to announce; by default /nerve/services/NAME',
    format: readPath,
    type: 'path',
    default: undefined,
  },
  check_interval: { doc: 'pause between two probes of a check', format: 'positive-duration', default: 500 },
  check_mocked: { doc: 'make no checks, announce always', format: 'boolean', default: false },
  weight: { doc: 'relative share of traffic, 0 to 256', format: 'weight', default: undefined },
  backup: { doc: 'take traffic only when no other instance can', format: 'boolean', default: false },
  labels: { doc: 'strings by name, for filters in synapse', format: 'labels', default: undefined },
  haproxy_server_options: { doc: 'HAProxy server options to ask synapse for', format: 'string', default: undefined },
};

/** Keys of the original that say nothing to an etcd reporter of today. */
const accepted = [
  'zk_hosts',
  'zk_path',
  'use_path_encoding',
  'node_type',
  'ttl_seconds',
  'rate_limiting',
  'load_test_concurrency',
  'max_repeated_report_failures',
];

/** Validates one service. */
export async function readService(
  name: string,
  value: unknown,
  at: { readonly path: string; readonly problems: Problem[]; readonly instanceId: string },
): Promise<ServiceConfig | undefined> {
  const { path, problems } = at;
  const options = validate(serviceSchema, value, at, { elsewhere: ['checks'], accepted });
  const { etcd_path: folder = `/nerve/services/${name}`, weight, labels, backup, haproxy_server_options } = options;
  const host = options.host === 'auto' ? await autoHost(at) : options.host;
  // Wrong values are reported by now; any stand-in lets the rest be checked too.
  const address = { host: host ?? '127.0.0.1', port: options.port ?? 1 };
  const checks = await readChecks(
    isObject(value) ? value.checks : undefined,
    { service: name, ...address },
    { path: joinPath(path, 'checks'), problems },
  );
  const given = options.etcd_path === undefined;
  if (given && !pathPattern.test(`/nerve/services/${name}`)) {
    problems.push({
      path,
      message: `${JSON.stringify(name)} cannot be part of a key; set etcd_path or choose another name`,
    });
  }
  try {
    const instance = makeInstance({
      name: at.instanceId,
      ...address,
      backup,
      ...(weight !== undefined && { weight }),
      ...(labels !== undefined && { labels }),
      ...(haproxy_server_options !== undefined && { serverOptions: haproxy_server_options }),
    });
    const { etcd_host, etcd_port, check_interval: checkInterval, check_mocked: mocked } = options;
    return {
      name,
      key: `${String(folder).replace(/\/+$/, '')}/${instanceId(at.instanceId, instance.host, instance.port)}`,
      instance,
      etcdHosts: etcd_host === undefined ? null : [`${bracketed(etcd_host)}:${etcd_port}`],
      checkInterval,
      checks: mocked ? [] : checks,
    };
  } catch (error) {
    if (!(error instanceof InvalidRecord)) throw error;
    problems.push({ path, message: error.message });
    return undefined;
  }
}

/** True when nothing that a running service depends on differs. */
export function sameService(a: ServiceConfig, b: ServiceConfig): boolean {
  return isDeepStrictEqual(comparable(a), comparable(b));
}

/** Without the functions, which are made anew at each reading. */
function comparable(config: ServiceConfig): unknown {
  return { ...config, checks: config.checks.map(({ probe: _, ...rest }) => rest) };
}

async function autoHost(at: { readonly path: string; readonly problems: Problem[] }): Promise<string | undefined> {
  const address = await primaryAddress();
  if (address === undefined) {
    const message = 'is auto, but this host has no address besides loopback; write the address';
    at.problems.push({ path: joinPath(at.path, 'host'), message });
  }
  return address;
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

function readHost(value: unknown): string {
  const host = value === 'auto' ? value : formats.host(value);
  return host as string;
}

function readReporter(value: unknown): string {
  const type = typeof value === 'string' ? value.toLowerCase() : value;
  if (type === 'etcd') return type;
  if (type === 'zookeeper') throw new Error('must be etcd: announcing in ZooKeeper is not supported');
  throw new Error('must be etcd');
}
