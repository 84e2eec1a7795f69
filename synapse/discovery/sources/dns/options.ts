import type { Schema } from '../../../../common/config/config.ts';
import { nameServers } from '../../../../common/config/json-values.ts';
import { readNameServers } from '../../../../common/net/name-servers.ts';

/** Options of all sources that look up names. */
export interface DnsLookupOptions {
  readonly nameserver: readonly string[];
  readonly check_interval: number;
  readonly timeout: number;
}

/** Their schema. */
export const dnsLookupSchema: Schema<DnsLookupOptions> = {
  nameserver: {
    doc: 'Name servers to use, ADDRESS or ADDRESS:PORT; default those of the system.',
    format: readNameServers,
    json: nameServers,
    type: 'list',
    default: [],
  },
  check_interval: {
    doc: 'Longest time between lookups; records with a shorter time to live are looked up again when they expire.',
    format: 'positive-duration',
    default: 30_000,
  },
  timeout: { doc: 'Longest time for one round of lookups.', format: 'positive-duration', default: 10_000 },
};

/** Lookups have at least this pause between them, even when a record has a time to live of 0 or a lookup fails. */
const shortestWaitMs = 1_000;

/** The milliseconds after which records with this time to live are looked up again. */
export function waitFor(ttlSeconds: number): number {
  return Math.max(shortestWaitMs, ttlSeconds * 1000);
}
