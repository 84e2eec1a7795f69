import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { onAbort } from '../async/abort.ts';

/** The address records to look up: A and AAAA, or one of them. */
export type AddressRecord = 'address' | 'a' | 'aaaa';

/** The addresses of a name, and how long they are valid. */
export interface FoundAddresses {
  /** Sorted as text, each once; never empty. */
  readonly addresses: readonly string[];
  /** The shortest time to live of the records and of the aliases (CNAME) that lead to them; infinite for an address. */
  readonly ttlSeconds: number;
}

/** A resolver for lookups that end with `signal`; without name servers it uses those of the system (/etc/resolv.conf). */
export function createResolver(nameservers: readonly string[], timeoutMs: number, signal?: AbortSignal): Resolver {
  const resolver = new Resolver({ timeout: Math.max(100, Math.floor(timeoutMs / 4)), tries: 2 });
  if (nameservers.length > 0) resolver.setServers(nameservers);
  if (signal !== undefined) onAbort(signal, () => resolver.cancel());
  return resolver;
}

/** The addresses of a name; an address is its own. @throws when there are none, or when a lookup failed */
export async function lookUpAddress(resolver: Resolver, host: string, record: AddressRecord): Promise<FoundAddresses> {
  if (isIP(host) !== 0) return { addresses: [host], ttlSeconds: Number.POSITIVE_INFINITY };
  const answers = await Promise.all([
    record === 'aaaa' ? [] : orEmpty(resolver.resolve4(host, { ttl: true })),
    record === 'a' ? [] : orEmpty(resolver.resolve6(host, { ttl: true })),
  ]);
  const found = answers.flat();
  if (found.length === 0) throw absent(`${host}: has no address`);
  return {
    addresses: [...new Set(found.map(({ address }) => address))].sort(),
    ttlSeconds: Math.min(...found.map(({ ttl }) => ttl)),
  };
}

/** True when a lookup failed because the name does not exist, or has no such records. */
export function isAbsent(error: unknown): boolean {
  return codeOf(error) === 'ENOTFOUND' || hasNoSuchRecords(error);
}

/** True when a lookup failed because the name exists and has no such records. */
export function hasNoSuchRecords(error: unknown): boolean {
  return codeOf(error) === 'ENODATA';
}

/** The error for a name without records of some kind, as a resolver throws it. */
export function absent(message: string): Error {
  return Object.assign(new Error(message), { code: 'ENODATA' });
}

/** A host may have addresses of only one family. */
async function orEmpty<T>(answer: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await answer;
  } catch (error) {
    if (hasNoSuchRecords(error)) return [];
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
