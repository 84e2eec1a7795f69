import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { isObject } from '../../common/formats.ts';
import { type Instance, isHost, isPort, makeInstance } from '../../common/instance.ts';
import { createPublisher, Findings } from '../findings.ts';
import { createPoll } from '../poll.ts';
import type { Source, SourceContext, SourcePlugin } from '../source.ts';

/** One name to look up. */
export interface DnsServer {
  /** Name of its instances; default the host name. */
  readonly name?: string;
  readonly host: string;
  readonly port?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Options of `method: dns`. */
export interface DnsOptions {
  readonly host?: string;
  readonly port?: number;
  readonly record: 'address' | 'a' | 'aaaa' | 'srv';
  readonly servers: readonly DnsServer[];
  readonly nameserver: readonly string[];
  readonly check_interval: number;
  readonly timeout: number;
  readonly nxdomain: 'keep' | 'empty';
}

export const source: SourcePlugin<DnsOptions> = {
  description: 'Resolves host names to addresses, or SRV records to addresses and ports.',
  schema: {
    host: { doc: 'Name to look up; for several, see servers.', format: 'host', default: undefined },
    port: {
      doc: 'Port of all instances whose server or SRV record does not say.',
      format: 'port',
      default: undefined,
    },
    record: {
      doc: 'What to ask for: address (A and AAAA), a, aaaa, or srv.',
      format: ['address', 'a', 'aaaa', 'srv'],
      default: 'address',
    },
    servers: { doc: 'Names to look up: [{name, host, port, labels}].', format: readServers, default: [] },
    nameserver: {
      doc: 'Name servers to ask, ADDRESS or ADDRESS:PORT; default those of the system.',
      format: readNameServers,
      default: [],
    },
    check_interval: {
      doc: 'Longest time between lookups; records with a shorter time to live are looked up when that is over.',
      format: 'positive-duration',
      default: 30_000,
    },
    timeout: { doc: 'Longest time for one round of lookups.', format: 'positive-duration', default: 10_000 },
    nxdomain: {
      doc: 'When a name is said not to exist, or to have no such records: keep what it had, or take it as empty.',
      format: ['keep', 'empty'],
      default: 'keep',
    },
  },
  example: { host: 'api.example.com', port: 8080, nameserver: '127.0.0.1:9' },
  create,
};

/** What one name stands for, and until when, in seconds. */
interface Answer {
  readonly found: readonly Omit<DnsRecord, 'name'>[];
  readonly ttl: number;
}

interface DnsRecord {
  readonly name: string;
  readonly address: string;
  readonly port?: number;
  readonly weight?: number;
  readonly backup: boolean;
}

/** A record with a time to live of 0 is not a reason to ask without pause. */
const shortestWait = 1_000;
/** Each target of an SRV record is a lookup of its own. */
const maxTargets = 1_000;

function create(options: DnsOptions, context: SourceContext): Source {
  const servers = serversOf(options);
  const { check_interval: interval, timeout } = options;
  const publisher = createPublisher(context);
  let hand: (found: Findings) => void = () => {};

  const look = async (signal: AbortSignal): Promise<number> => {
    const resolver = new Resolver({ timeout: Math.max(100, Math.floor(timeout / 4)), tries: 2 });
    if (options.nameserver.length > 0) resolver.setServers(options.nameserver);
    signal.addEventListener('abort', () => resolver.cancel(), { once: true });
    // All of them or none: a set without the names that failed would not be the full one.
    const results = await Promise.all(servers.map((server) => lookUp(resolver, server, options)));
    const found = new Findings();
    let wait = interval;
    for (const [index, { records, ttl }] of results.entries()) {
      const server = servers[index] as DnsServer;
      for (const record of records) found.add(server.host, () => instanceOf(record, server, options));
      wait = Math.min(wait, Math.max(shortestWait, ttl * 1000));
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

async function lookUp(
  resolver: Resolver,
  server: DnsServer,
  options: DnsOptions,
): Promise<{ readonly records: readonly DnsRecord[]; readonly ttl: number }> {
  const name = server.name ?? server.host.replace(/\.$/, '');
  try {
    if (options.record === 'srv') return await lookUpService(resolver, server, options);
    const { found, ttl } = await lookUpAddress(resolver, server.host, options.record);
    return { records: found.map((record) => ({ name, ...record })), ttl };
  } catch (error) {
    if (options.nxdomain === 'empty' && isAbsent(error)) return { records: [], ttl: Number.POSITIVE_INFINITY };
    throw error;
  }
}

/** Addresses, sorted. @throws when there are none, and when a lookup failed */
async function lookUpAddress(resolver: Resolver, host: string, record: DnsOptions['record']): Promise<Answer> {
  if (isIP(host) !== 0) return { found: [{ address: host, backup: false }], ttl: Number.POSITIVE_INFINITY };
  const asked = await Promise.all([
    record === 'aaaa' ? [] : orNone(resolver.resolve4(host, { ttl: true })),
    record === 'a' ? [] : orNone(resolver.resolve6(host, { ttl: true })),
  ]);
  const found = asked.flat();
  if (found.length === 0) throw absent(`${host}: has no address`);
  const addresses = [...new Set(found.map(({ address }) => address))].sort();
  return {
    found: addresses.map((address) => ({ address, backup: false })),
    ttl: Math.min(...found.map(({ ttl }) => ttl)),
  };
}

async function lookUpService(
  resolver: Resolver,
  server: DnsServer,
  options: DnsOptions,
): Promise<{ readonly records: readonly DnsRecord[]; readonly ttl: number }> {
  const services = await resolver.resolveSrv(server.host);
  // RFC 2782: a single "." as target says that the service is decidedly not available.
  const targets = services.filter(({ name }) => name !== '' && name !== '.');
  if (targets.length === 0) throw absent(`${server.host}: has no targets`);
  if (targets.length > maxTargets) throw new Error(`${server.host}: ${targets.length} targets, at most ${maxTargets}`);
  const first = Math.min(...targets.map(({ priority }) => priority));
  const heaviest = Math.max(...targets.map(({ weight }) => weight));
  let shortest = Number.POSITIVE_INFINITY;
  const resolved = await Promise.all(
    targets.map(async ({ name, port, priority, weight }) => {
      const { found, ttl } = await lookUpAddress(resolver, name, 'address');
      shortest = Math.min(shortest, ttl);
      const share = weightOf(weight, heaviest);
      return found.map(({ address }) => ({
        name: name.replace(/\.$/, ''),
        address,
        port: port || (server.port ?? options.port ?? 0),
        backup: priority > first,
        ...(share !== undefined && { weight: share }),
      }));
    }),
  );
  const records = resolved
    .flat()
    .sort((a, b) => compare(a.name, b.name) || a.port - b.port || compare(a.address, b.address));
  return { records, ttl: shortest };
}

/**
 * RFC 2782 has weights from 0 to 65535, HAProxy from 0 to 256, where 0 takes no traffic; in SRV records 0 means the
 * smallest share, or, everywhere, that shares do not matter.
 */
function weightOf(weight: number, heaviest: number): number | undefined {
  if (heaviest === 0) return undefined;
  return Math.max(1, heaviest <= 256 ? weight : Math.round((weight * 256) / heaviest));
}

function instanceOf(record: DnsRecord, server: DnsServer, options: DnsOptions): Instance {
  const { name, address, weight, backup } = record;
  return makeInstance({
    name,
    host: address,
    port: record.port ?? server.port ?? options.port ?? 0,
    backup,
    ...(weight !== undefined && { weight }),
    ...(server.labels !== undefined && { labels: server.labels }),
  });
}

/** A host may well have addresses of one family only. */
async function orNone<T>(answer: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await answer;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENODATA') return [];
    throw error;
  }
}

function absent(message: string): Error {
  return Object.assign(new Error(message), { code: 'ENODATA' });
}

function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOTFOUND' || code === 'ENODATA';
}

function serversOf({ host, port, record, servers }: DnsOptions): readonly DnsServer[] {
  if (host !== undefined && servers.length > 0) throw new Error('host and servers: give one of them');
  const all = host === undefined ? servers : [{ host }];
  if (all.length === 0) throw new Error('a non-empty list of servers is required, or host');
  for (const server of all) {
    if (record === 'srv' && isIP(server.host) !== 0) throw new Error(`${server.host}: an address has no SRV records`);
    if (record !== 'srv' && (server.port ?? port) === undefined)
      throw new Error(`port: is required for ${server.host}`);
  }
  return all;
}

function readServers(value: unknown): readonly DnsServer[] {
  if (!Array.isArray(value)) throw new Error('must be a list of {name, host, port, labels}');
  return value.map((entry, index) => readServer(entry, `entry ${index}`));
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

function readNameServers(value: unknown): readonly string[] {
  const list = typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value;
  const isNameServer = (item: unknown): boolean => {
    if (typeof item !== 'string') return false;
    const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(item);
    return (
      isIP(item) !== 0 || (match !== null && isIP(match[1] ?? match[2] ?? '') !== 0 && isPort(Number(match[3] ?? 53)))
    );
  };
  if (Array.isArray(list) && list.every(isNameServer)) return list;
  throw new Error('must be addresses of name servers, ADDRESS or ADDRESS:PORT, [ADDRESS]:PORT for IPv6');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
