import { isIP } from 'node:net';
import { isPort } from '../instance.ts';

/** Reads an option with name servers: a list, or one string with commas. @throws when it is neither */
export function readNameServers(value: unknown): readonly string[] {
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
