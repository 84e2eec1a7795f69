import type { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { isObject } from '../../../common/config/formats.ts';
import { type Instance, isHost, isPort, makeInstance } from '../../../common/instance.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { createPublisher, Findings } from '../instance-set-builder.ts';
import { createPoll } from '../poll.ts';
import {
  type Answer,
  createResolver,
  type DnsRecord,
  isAbsent,
  type Lookup,
  lookUp,
  type RecordType,
} from './dns/lookup.ts';
import { type DnsLookupOptions, dnsLookupSchema, waitFor } from './dns/options.ts';

/** One name to look up. */
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

export const source: SourcePlugin<DnsOptions> = {
  description: 'Resolves host names to addresses, or SRV records to addresses and ports.',
  schema: {
    host: { doc: 'Name to look up; for several, see servers.', format: 'host', default: undefined },
    port: {
      doc: "Port of all instances whose server or SRV record does not say, default the service's backend_port_override.",
      format: 'port',
      default: undefined,
    },
    record: {
      doc: 'What to ask for: address (A and AAAA), a, aaaa, or srv.',
      format: ['address', 'a', 'aaaa', 'srv'],
      default: 'address',
    },
    servers: {
      doc: 'Names to look up: [{name, host, port, labels}], or only the names.',
      format: readServers,
      type: 'list',
      default: [],
    },
    ...dnsLookupSchema,
    nxdomain: {
      doc: 'When a name is said not to exist, or to have no such records: keep what it had, or take it as empty.',
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
  const publisher = createPublisher(context);
  let hand: (found: Findings) => void = () => {};

  const look = async (signal: AbortSignal): Promise<number> => {
    const resolver = createResolver(options.nameserver, timeout, signal);
    // All of them or none: a set without the names that failed would not be the full one.
    const results = await Promise.all(servers.map((server) => ask(resolver, server, options)));
    const found = new Findings();
    let wait = interval;
    for (const [index, { records, ttl }] of results.entries()) {
      const server = servers[index] as DnsServer;
      for (const record of records) found.add(server.host, () => instanceOf(record, server));
      wait = Math.min(wait, waitFor(ttl));
    }
    hand(found);
    return wait;
  };
  const poll = createPoll(look, { what: 'the DNS', interval, timeout, log: context.log });

  const follow: Source = (publish, signal) => {
    hand = publisher.start(publish);
    return poll.run(signal);
  };
  return Object.assign(follow, { status: poll.status });
}

async function ask(resolver: Resolver, server: DnsServer, { record, nxdomain }: DnsOptions): Promise<Answer> {
  try {
    return await lookUp(resolver, server, record);
  } catch (error) {
    if (nxdomain === 'empty' && isAbsent(error)) return { records: [], ttl: Number.POSITIVE_INFINITY };
    throw error;
  }
}

function instanceOf(record: DnsRecord, server: DnsServer): Instance {
  const { name, address, weight, backup } = record;
  return makeInstance({
    name,
    host: address,
    port: record.port ?? server.port ?? 0,
    backup,
    ...(weight !== undefined && { weight }),
    ...(server.labels !== undefined && { labels: server.labels }),
  });
}

function serversOf({ host, port, record, servers }: DnsOptions): readonly DnsServer[] {
  if (host !== undefined && servers.length > 0) throw new Error('host and servers: give one of them');
  const all = host === undefined ? servers : [{ host }];
  if (all.length === 0) throw new Error('a non-empty list of servers is required, or host');
  for (const server of all) {
    if (record === 'srv' && isIP(server.host) !== 0) throw new Error(`${server.host}: an address has no SRV records`);
    if (record !== 'srv' && (server.port ?? port) === undefined)
      throw new Error(`port: is required for ${server.host}, here or as backend_port_override`);
  }
  return port === undefined ? all : all.map((server) => ({ port, ...server }));
}

function readServers(value: unknown): readonly DnsServer[] {
  if (!Array.isArray(value)) throw new Error('must be a list of {name, host, port, labels}');
  // SmartStack's own examples list names alone.
  return value.map((entry, index) => readServer(typeof entry === 'string' ? { host: entry } : entry, `entry ${index}`));
}

function readServer(entry: unknown, where: string): DnsServer {
  if (!isObject(entry)) throw new Error(`${where}: must be {name, host, port, labels}`);
  const { name, host, labels, ...rest } = entry;
  const { port: given, ...unknown } = rest;
  const [key] = Object.keys(unknown);
  if (key !== undefined) throw new Error(`${where}: unknown key ${key}; known are name, host, port, labels`);
  const port = typeof given === 'string' && /^\d{1,5}$/.test(given) ? Number(given) : given;
  if (!isHost(host)) throw new Error(`${where}: host must be an IP address or a host name`);
  if (port !== undefined && port !== null && !isPort(port)) throw new Error(`${where}: port must be from 1 to 65535`);
  // Everything else that is wrong with it would be wrong with each of its instances.
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
