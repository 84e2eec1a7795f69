import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';

/** One name to look up. */
export interface Lookup {
  readonly host: string;
  /** Name of what it stands for; default the host name. */
  readonly name?: string;
  /** For SRV records that do not say. */
  readonly port?: number;
}

/** What to ask for. */
export type RecordType = 'address' | 'a' | 'aaaa' | 'srv';

/** What one name stands for. */
export interface DnsRecord {
  readonly name: string;
  readonly address: string;
  /** SRV records only, as the following ones. */
  readonly port?: number;
  readonly weight?: number;
  /** Another target is to be preferred. */
  readonly backup: boolean;
}

/** What a name stands for, and for how many seconds. */
export interface Answer {
  readonly records: readonly DnsRecord[];
  readonly ttl: number;
}

/** Each target of an SRV record is a lookup of its own. */
const maxTargets = 1_000;

/** A resolver for one round of lookups that takes at most `timeout` milliseconds; without name servers, the system's. */
export function createResolver(nameservers: readonly string[], timeout: number, signal: AbortSignal): Resolver {
  const resolver = new Resolver({ timeout: Math.max(100, Math.floor(timeout / 4)), tries: 2 });
  if (nameservers.length > 0) resolver.setServers(nameservers);
  signal.addEventListener('abort', () => resolver.cancel(), { once: true });
  return resolver;
}

/** Sorted records. An address stands for itself, for ever. @throws when there are none, and when a lookup failed */
export async function lookUp(resolver: Resolver, server: Lookup, record: RecordType): Promise<Answer> {
  if (record === 'srv') return lookUpService(resolver, server);
  const { addresses, ttl } = await lookUpAddress(resolver, server.host, record);
  const name = server.name ?? server.host.replace(/\.$/, '');
  return { records: addresses.map((address) => ({ name, address, backup: false })), ttl };
}

/** Whether a lookup failed because there is no such name, or it has no such records. */
export function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOTFOUND' || code === 'ENODATA';
}

async function lookUpAddress(
  resolver: Resolver,
  host: string,
  record: Exclude<RecordType, 'srv'>,
): Promise<{ readonly addresses: readonly string[]; readonly ttl: number }> {
  if (isIP(host) !== 0) return { addresses: [host], ttl: Number.POSITIVE_INFINITY };
  const asked = await Promise.all([
    record === 'aaaa' ? [] : orNone(resolver.resolve4(host, { ttl: true })),
    record === 'a' ? [] : orNone(resolver.resolve6(host, { ttl: true })),
  ]);
  const found = asked.flat();
  if (found.length === 0) throw absent(`${host}: has no address`);
  return {
    addresses: [...new Set(found.map(({ address }) => address))].sort(),
    ttl: Math.min(...found.map(({ ttl }) => ttl)),
  };
}

async function lookUpService(resolver: Resolver, server: Lookup): Promise<Answer> {
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
      const { addresses, ttl } = await lookUpAddress(resolver, name, 'address');
      shortest = Math.min(shortest, ttl);
      const share = weightOf(weight, heaviest);
      return addresses.map((address) => ({
        name: name.replace(/\.$/, ''),
        address,
        port: port || (server.port ?? 0),
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

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
