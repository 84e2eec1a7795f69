import { isIP } from 'node:net';
import { isObject } from '../../../common/config/formats.ts';
import { anyText, type JsonSchema, listOf, mapOf, wholeNumber } from '../../../common/config/json-values.ts';
import { type Instance, isHost, isPort, makeInstance, takeInstance } from '../../../common/instance.ts';
import { knownHint } from '../../../common/nearest.ts';
import { isAbsent } from '../../../common/net/dns.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { InstanceSetBuilder, SetPublisher } from '../instance-set-builder.ts';
import { Poll } from '../poll.ts';
import {
  type DnsRecord,
  type Lookup,
  type LookupResult,
  lookUp,
  type NameSystem,
  openNameSystem,
  type RecordType,
} from './dns/lookup.ts';
import { type DnsLookupOptions, dnsLookupSchema, waitFor } from './dns/options.ts';

/** A name to look up, with the labels of its instances. */
export interface DnsServer extends Lookup {
  readonly labels?: Readonly<Record<string, string>>;
}

/** Options of `method: dns`. */
export interface DnsOptions extends DnsLookupOptions {
  readonly host?: string;
  readonly port?: number;
  readonly record: RecordType;
  readonly servers: readonly DnsServer[];
  readonly nxdomain: 'keep' | 'empty';
}

const server: JsonSchema = {
  type: 'object',
  properties: {
    name: anyText,
    host: anyText,
    port: { anyOf: [wholeNumber({ minimum: 1, maximum: 65_535 }), { type: 'null' }] },
    labels: mapOf(anyText),
  },
  required: ['host'],
  additionalProperties: false,
};

/** The source `dns`. */
export const source: SourcePlugin<DnsOptions> = {
  description: 'Resolves host names to addresses, or SRV records to addresses and ports.',
  schema: {
    host: { doc: 'Name to look up; for several, see servers.', format: 'host', default: undefined },
    port: {
      doc: "Port of instances whose server or SRV record has none; default the service's backend_port_override.",
      format: 'port',
      default: undefined,
    },
    record: {
      doc: 'Records to look up: address (A and AAAA), a, aaaa, or srv.',
      format: ['address', 'a', 'aaaa', 'srv'],
      default: 'address',
    },
    servers: {
      doc: 'Names to look up: [{name, host, port, labels}], or a list of host names.',
      format: readServers,
      json: listOf({ anyOf: [anyText, server] }),
      type: 'list',
      default: [],
    },
    ...dnsLookupSchema,
    nxdomain: {
      doc: 'When a name does not exist or has no such records: keep its last instances, or take it as empty.',
      format: ['keep', 'empty'],
      default: 'keep',
    },
  },
  example: { host: 'api.example.com', port: 8080, nameserver: '127.0.0.1:9' },
  needsPort: true,
  create,
};

function create(options: DnsOptions, context: SourceContext): Source {
  const servers = serversOf(options);
  const { check_interval: interval, timeout } = options;
  const publisher = new SetPublisher(context);
  let publishFound: (found: InstanceSetBuilder) => void = () => {};

  const lookUpAll = async (signal: AbortSignal): Promise<number> => {
    const system = openNameSystem(options.nameserver, timeout, signal);
    // All or nothing: without the names that failed, the set would not be complete.
    const results = await Promise.all(servers.map((server) => lookUpOrEmpty(system, server, options)));
    const found = new InstanceSetBuilder();
    let waitMs = interval;
    for (const [index, { records, ttlSeconds }] of results.entries()) {
      const server = servers[index] as DnsServer;
      for (const record of records) found.add(server.host, () => instanceOf(record, server));
      waitMs = Math.min(waitMs, waitFor(ttlSeconds));
    }
    publishFound(found);
    return waitMs;
  };
  const poll = new Poll(lookUpAll, { what: 'the DNS', intervalMs: interval, timeoutMs: timeout, log: context.log });

  const follow: Source = (publish, signal) => {
    publishFound = publisher.start(publish);
    return poll.run(signal);
  };
  return Object.assign(follow, { status: () => poll.status() });
}

async function lookUpOrEmpty(
  system: NameSystem,
  server: DnsServer,
  { record, nxdomain }: DnsOptions,
): Promise<LookupResult> {
  try {
    return await lookUp(system, server, record);
  } catch (error) {
    if (nxdomain === 'empty' && isAbsent(error)) return { records: [], ttlSeconds: Number.POSITIVE_INFINITY };
    throw error;
  }
}

function instanceOf(record: DnsRecord, server: DnsServer): Instance {
  const { name, address, weight, backup } = record;
  return takeInstance({
    name,
    host: address,
    port: record.port ?? server.port ?? 0,
    backup,
    weight,
    labels: server.labels,
  });
}

function serversOf({ host, port, record, servers }: DnsOptions): readonly DnsServer[] {
  if (host !== undefined && servers.length > 0) throw new Error('host and servers: set only one of them');
  const all = host === undefined ? servers : [{ host }];
  if (all.length === 0) throw new Error('a non-empty list of servers is required, or host');
  for (const server of all) {
    if (record === 'srv' && isIP(server.host) !== 0) throw new Error(`${server.host}: an address has no SRV records`);
    if (record !== 'srv' && (server.port ?? port) === undefined)
      throw new Error(`port: is required for ${server.host}; set port or backend_port_override`);
  }
  return port === undefined ? all : all.map((server) => ({ port, ...server }));
}

function readServers(value: unknown): readonly DnsServer[] {
  if (!Array.isArray(value)) throw new Error('must be a list of {name, host, port, labels}');
  // SmartStack's own examples list only host names.
  return value.map((entry, index) => readServer(typeof entry === 'string' ? { host: entry } : entry, `entry ${index}`));
}

function readServer(entry: unknown, where: string): DnsServer {
  if (!isObject(entry)) throw new Error(`${where}: must be {name, host, port, labels}`);
  const { name, host, labels, ...rest } = entry;
  const { port: given, ...unknown } = rest;
  const [key] = Object.keys(unknown);
  if (key !== undefined)
    throw new Error(`${where}: unknown key ${key}; ${knownHint(key, ['name', 'host', 'port', 'labels'])}`);
  const port = typeof given === 'string' && /^\d{1,5}$/.test(given) ? Number(given) : given;
  if (!isHost(host)) throw new Error(`${where}: host must be an IP address or a host name`);
  if (port !== undefined && port !== null && !isPort(port)) throw new Error(`${where}: port must be from 1 to 65535`);
  // A mistake in name or labels would be a mistake in each instance.
  makeInstance({
    host,
    port: 1,
    ...(name != null && { name: name as string }),
    ...(labels != null && { labels: labels as Record<string, string> }),
  });
  return {
    host,
    ...(name != null && { name: name as string }),
    ...(isPort(port) && { port }),
    ...(labels != null && { labels: labels as Record<string, string> }),
  };
}
