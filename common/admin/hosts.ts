import { isIP } from 'node:net';
import { globPattern } from '../glob.ts';

/**
 * Whether a request may name this host. A web page of anybody can have its own name resolve to our address and so read what
 * we answer (DNS rebinding); it cannot have a browser send an address, `localhost`, or a name that is ours. Requests
 * without a name come from no browser.
 */
export function isOurHost(header: string | undefined, names: readonly string[]): boolean {
  if (header === undefined) return true;
  const host = header.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  if (isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0) return true;
  return ['localhost', ...names].some((name) => globPattern(name.toLowerCase()).test(host));
}
