import { type AdminConfig, adminSchema } from '../../common/admin/options.ts';
import {
  isError,
  joinPath,
  type Problem,
  readConfig,
  type Schema,
  settleProblems,
  validate,
} from '../../common/config/config.ts';
import { isObject } from '../../common/config/formats.ts';
import { networks } from '../../common/config/json-values.ts';
import type { Log } from '../../common/daemon/log.ts';
import { type EtcdOptions, readEtcdSection } from '../../common/etcd/client/options.ts';
import { type FleetMemberConfig, readFleetMember } from '../../common/fleet/options.ts';
import { thisHost } from '../../common/host.ts';
import { readStatsd, type StatsdConfig } from '../../common/statsd/options.ts';
import { type DnsConfig, dnsSchema } from '../addresses/dns-options.ts';
import { type Networks, readNetworks } from '../addresses/networks.ts';
import type { StateFile } from '../catalog/state-file.ts';
import { type FileOutputConfig, fileOutputSchema } from '../file-output.ts';
import type { HaproxyConfig } from '../haproxy/options/config.ts';
import { haproxySection } from '../haproxy/options/section.ts';
import { defaultListen } from './listen.ts';
import { loopProblems } from './own-listeners.ts';
import { readService, type ServiceConfig, serviceSchema } from './service-config.ts';
import { sharedAddresses } from './shared-addresses.ts';

/** A whole configuration, checked. */
export interface SynapseConfig {
  readonly etcd: EtcdOptions;
  readonly haproxy: HaproxyConfig;
  /** How the host names of instances are looked up. */
  readonly dns: DnsConfig;
  /** In the order of the file. */
  readonly services: ReadonlyMap<string, ServiceConfig>;
  readonly admin: AdminConfig;
  /** Undefined: the catalog is not kept. */
  readonly stateFile: StateFile | undefined;
  /** Undefined: no files are written for other programs. */
  readonly fileOutput?: FileOutputConfig | undefined;
  /** Undefined: nothing is sent to StatsD. */
  readonly statsd?: StatsdConfig | undefined;
  /** False: this synapse takes no part in the fleet. */
  readonly fleet?: FleetMemberConfig | false | undefined;
  /** Milliseconds that the first write waits for the first answers of all sources. */
  readonly initialWaitMs: number;
}

interface TopOptions {
  readonly state_file_path?: string;
  readonly state_file_ttl: number;
  readonly initial_wait: number;
  readonly instance_networks?: Networks;
}

/** Options of the top level, beside its sections. */
export const topSchema: Schema<TopOptions> = {
  state_file_path: {
    doc: 'File that keeps the last good catalog, so that synapse can start and serve while the registry is away.',
    format: 'non-empty-string',
    names: 'file to write',
    default: undefined,
  },
  state_file_ttl: {
    doc: 'How long the entry of a service in that file may be used.',
    format: 'positive-duration',
    default: 86_400_000,
  },
  initial_wait: {
    doc: 'How long the first write waits for the first answers of all sources.',
    format: 'duration',
    default: 3_000,
  },
  instance_networks: {
    doc: 'Networks in which instances of all services may be, such as [10.0.0.0/8, 2001:db8::/32]; others are left out. Default: all but link-local ones (169.254.0.0/16), which have to be listed.',
    format: readNetworks,
    json: networks,
    type: 'list',
    default: undefined,
  },
};

/** Sections of SmartStack's plugins whose ports would be missing if they were ignored. */
const refused: Readonly<Record<string, string>> = {
  nginx: 'is not supported: remove it, and let HAProxy bind the ports (haproxy.port of each service)',
};

/** A file of `service_conf_dir` that is given as the configuration has these at its top. */
const optionsOfServices = {
  keys: [...Object.keys(serviceSchema), 'discovery', 'discovery_multi', 'prefer'],
  path: 'services.NAME',
};

/**
 * Reads and checks a configuration file; warnings go to `log`.
 * @throws {ConfigError} with all problems
 */
export async function readSynapseConfig(
  file: string,
  options: { readonly env?: NodeJS.ProcessEnv; readonly log?: Log } = {},
): Promise<SynapseConfig> {
  const { env = process.env, log } = options;
  const document = await readConfig(file, { env, raw: haproxySection.raw });
  const problems: Problem[] = [];
  const { value } = document;

  const elsewhere = [
    'etcd',
    'services',
    'service_conf_dir',
    'admin',
    haproxySection.key,
    'dns',
    'file_output',
    'statsd',
    'fleet',
  ];
  for (const [key, message] of Object.entries(refused)) {
    if (Object.hasOwn(value, key)) problems.push({ path: key, message });
  }
  const others = { elsewhere, refused: Object.keys(refused), below: optionsOfServices };
  const top = validate(topSchema, value, { path: '', problems }, others);
  const etcd = readEtcdSection(value.etcd, problems);
  const admin = validate(adminSchema(defaultListen), value.admin, { path: 'admin', problems });
  const haproxy = haproxySection.readTop(value[haproxySection.key], { path: haproxySection.key, problems });

  const dns = validate(dnsSchema, value.dns, { path: 'dns', problems });
  const fileOutput = isGiven(value.file_output)
    ? validate(fileOutputSchema, value.file_output, { path: 'file_output', problems })
    : undefined;

  const statsd = readStatsd(value.statsd, problems);
  const fleet = readFleetMember(value.fleet, problems);

  const services = new Map<string, ServiceConfig>();
  if (value.services !== undefined && value.services !== null && !isObject(value.services)) {
    problems.push({ path: 'services', message: 'must be an object of services by name' });
  } else {
    for (const [service, section] of Object.entries(value.services ?? {})) {
      const at = { path: joinPath('services', service), problems };
      if (!servicePattern.test(service)) {
        problems.push({ path: at.path, message: 'a service name may have up to 128 of A-Z a-z 0-9 _ . : -' });
      }
      const read = await readService(section, at, { service, etcd, haproxy, networks: top.instance_networks });
      if (read !== undefined) services.set(service, read);
    }
  }
  if (services.size === 0 && !problems.some(isError)) {
    const message = 'has no services: HAProxy gets only what the section haproxy says';
    problems.push({ path: 'services', message, severity: 'warning' });
  }
  problems.push(...loopProblems({ haproxy, admin }, services, thisHost.ownAddresses()));
  problems.push(...sharedAddresses({ haproxy, admin }, services));
  settleProblems(problems, document, log);

  const { state_file_path: statePath, state_file_ttl: stateTtl } = top;
  const stateFile =
    statePath === undefined ? haproxySection.olderStateFile(haproxy) : { path: statePath, ttlMs: stateTtl };
  return {
    etcd,
    haproxy,
    dns,
    services,
    admin,
    stateFile,
    fileOutput,
    statsd,
    fleet,
    initialWaitMs: top.initial_wait,
  };
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** HAProxy's rule for the names of proxies (configuration manual, section 4), with a length limit. */
const servicePattern = /^[A-Za-z0-9_.:-]{1,128}$/;
