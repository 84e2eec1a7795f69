import type { Resolver } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import { compareText } from '../../../../common/compare.ts';
import { thisHost } from '../../../../common/host.ts';
import {
  type AddressRecord,
  absent,
  createResolver,
  type FoundAddresses,
  lookUpAddress,
} from '../../../../common/net/dns.ts';
import { createHostsLookup, hostsTtlSeconds, type LookUpHosts } from '../../../../common/net/name-lookup.ts';

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

/** What is asked for the records of a name. */
export interface NameSystem {
  readonly resolver: Resolver;
  /** The system's own list of names, which comes before the DNS; undefined where name servers are configured. */
  readonly hosts: LookUpHosts | undefined;
}

/** The system's own list of names: /etc/hosts. */
const systemHosts = createHostsLookup({ files: thisHost.files });

/** What is asked with these name servers, until `signal` aborts. */
export function openNameSystem(nameservers: readonly string[], timeoutMs: number, signal: AbortSignal): NameSystem {
  return {
    resolver: createResolver(nameservers, timeoutMs, signal),
    hosts: nameservers.length === 0 ? systemHosts : undefined,
  };
}

/** The sorted records of a name; an address is its own record. @throws when there are none, or when a lookup failed */
export async function lookUp(system: NameSystem, server: Lookup, record: RecordType): Promise<LookupResult> {
  if (record === 'srv') return lookUpService(system, server);
  const { addresses, ttlSeconds } = await addressesOf(system, server.host, record);
  const name = server.name ?? server.host.replace(/\.$/, '');
  return { records: addresses.map((address) => ({ name, address, backup: false })), ttlSeconds };
}

async function addressesOf(
  { resolver, hosts }: NameSystem,
  host: string,
  record: AddressRecord,
): Promise<FoundAddresses> {
  const known = (await hosts?.(host)) ?? [];
  const wanted = known.filter((address) => record === 'address' || isIPv4(address) === (record === 'a'));
  if (wanted.length > 0) return { addresses: wanted.toSorted(), ttlSeconds: hostsTtlSeconds };
  return lookUpAddress(resolver, host, record);
}

async function lookUpService(system: NameSystem, server: Lookup): Promise<LookupResult> {
  const services = await system.resolver.resolveSrv(server.host);
  // RFC 2782: a single target "." means that the service is not available.
  const targets = services.filter(({ name }) => name !== '' && name !== '.');
  if (targets.length === 0) throw absent(`${server.host}: has no targets`);
  if (targets.length > maxTargets) throw new Error(`${server.host}: ${targets.length} targets, at most ${maxTargets}`);
  const first = Math.min(...targets.map(({ priority }) => priority));
  const heaviest = Math.max(...targets.map(({ weight }) => weight));
  let shortestTtl = Number.POSITIVE_INFINITY;
  const resolved = await Promise.all(
    targets.map(async ({ name, port, priority, weight }) => {
      const { addresses, ttlSeconds } = await addressesOf(system, name, 'address');
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
