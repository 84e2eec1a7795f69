import { isIP } from 'node:net';
import type { Schema } from '../../../../common/config/config.ts';
import { isPort } from '../../../../common/instance.ts';

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

/** Reads the option: a list, or one string with commas. @throws when it is neither */
function readNameServers(value: unknown): readonly string[] {
  const list = typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value;
  if (Array.isArray(list) && list.every(isNameServer)) return list;
  throw new Error('must be addresses of name servers, ADDRESS or ADDRESS:PORT, [ADDRESS]:PORT for IPv6');
}

function isNameServer(item: unknown): boolean {
  if (typeof item !== 'string') return false;
  if (isIP(item) !== 0) return true;
  const [, bracketed, plain, port = '53'] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(item) ?? [];
  return isIP(bracketed ?? plain ?? '') !== 0 && isPort(Number(port));
}
