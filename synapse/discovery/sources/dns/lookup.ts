import type { Resolver } from 'node:dns/promises';
import { compareText } from '../../../../common/compare.ts';
import { type AddressRecord, absent, lookUpAddress } from '../../../../common/net/dns.ts';

/** A name to look up. */
export interface Lookup {
  readonly host: string;
  /** Name of the instances; default the host name. */
  readonly name?: string;
  /** Port for SRV records that have none. */
  readonly port?: number;
}

/** The records to look up. */
export type RecordType = AddressRecord | 'srv';

/** One address, and with SRV the port and weight, that a name has. */
export interface DnsRecord {
  readonly name: string;
  readonly address: string;
  /** Port and weight: SRV records only. */
  readonly port?: number;
  readonly weight?: number;
  /** True when another target has a better priority. */
  readonly backup: boolean;
}

/** The records of a name, and how long they are valid. */
export interface LookupResult {
  readonly records: readonly DnsRecord[];
  readonly ttlSeconds: number;
}

/** A limit, because each target of an SRV record is a lookup of its own. */
const maxTargets = 1_000;

/** The sorted records of a name; an address is its own record. @throws when there are none, or when a lookup failed */
export async function lookUp(resolver: Resolver, server: Lookup, record: RecordType): Promise<LookupResult> {
  if (record === 'srv') return lookUpService(resolver, server);
  const { addresses, ttlSeconds } = await lookUpAddress(resolver, server.host, record);
  const name = server.name ?? server.host.replace(/\.$/, '');
  return { records: addresses.map((address) => ({ name, address, backup: false })), ttlSeconds };
}

async function lookUpService(resolver: Resolver, server: Lookup): Promise<LookupResult> {
  const services = await resolver.resolveSrv(server.host);
  // RFC 2782: a single target "." means that the service is not available.
  const targets = services.filter(({ name }) => name !== '' && name !== '.');
  if (targets.length === 0) throw absent(`${server.host}: has no targets`);
  if (targets.length > maxTargets) throw new Error(`${server.host}: ${targets.length} targets, at most ${maxTargets}`);
  const first = Math.min(...targets.map(({ priority }) => priority));
  const heaviest = Math.max(...targets.map(({ weight }) => weight));
  let shortestTtl = Number.POSITIVE_INFINITY;
  const resolved = await Promise.all(
    targets.map(async ({ name, port, priority, weight }) => {
      const { addresses, ttlSeconds } = await lookUpAddress(resolver, name, 'address');
      shortestTtl = Math.min(shortestTtl, ttlSeconds);
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
    .sort((a, b) => compareText(a.name, b.name) || a.port - b.port || compareText(a.address, b.address));
  return { records, ttlSeconds: shortestTtl };
}

/**
 * Scales the weight of an SRV record (RFC 2782: 0 to 65535) to HAProxy's (0 to 256, where 0 gets no traffic). In SRV records, 0
 * is the smallest share; when all weights are 0, the records have none.
 */
function weightOf(weight: number, heaviest: number): number | undefined {
  if (heaviest === 0) return undefined;
  return Math.max(1, heaviest <= 256 ? weight : Math.round((weight * 256) / heaviest));
}
