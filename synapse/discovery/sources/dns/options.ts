import { isIP } from 'node:net';
import type { Schema } from '../../../../common/config/config.ts';
import { isPort } from '../../../../common/instance.ts';

/** Options of all methods that look names up. */
export interface DnsLookupOptions {
  readonly nameserver: readonly string[];
  readonly check_interval: number;
  readonly timeout: number;
}

export const dnsLookupSchema: Schema<DnsLookupOptions> = {
  nameserver: {
    doc: 'Name servers to ask, ADDRESS or ADDRESS:PORT; default those of the system.',
    format: readNameServers,
    type: 'list',
    default: [],
  },
  check_interval: {
    doc: 'Longest time between lookups; records with a shorter time to live are looked up when that is over.',
    format: 'positive-duration',
    default: 30_000,
  },
  timeout: { doc: 'Longest time for one round of lookups.', format: 'positive-duration', default: 10_000 },
};

/** A record with a time to live of 0, or one that failed, is not a reason to ask without pause. Milliseconds. */
const shortestWait = 1_000;

/** When to look again, in milliseconds, at what is good for `ttl` seconds. */
export function waitFor(ttl: number): number {
  return Math.max(shortestWait, ttl * 1000);
}

/** Reads the option: a list, or one string with commas. @throws saying what it must be */
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
