import { timeoutSignal, withTimeout } from '../../common/async/timeout.ts';
import { formats } from '../../common/config/formats.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { lookUpAll } from '../../common/net/lookup.ts';
import { type Family, interfaceAddress, primaryAddress } from './local-address.ts';

/** `auto`, then optionally a family, an interface (with or without a family), or `ec2` for EC2's metadata. */
const autoPattern = /^auto(?::(?<from>[^\s:]{1,15}))?(?::(?<family>ipv4|ipv6))?$/;

/** Deadline of the name lookup and of EC2's metadata service. */
const timeoutMs = 3000;

/** Validates the `host` of a service. @throws saying what is allowed */
export function readHost(value: unknown): string {
  if (typeof value === 'string' && autoPattern.test(value)) return value;
  return formats.host(value) as string;
}

/**
 * The host to announce: the configured address or name itself, the address of the name (`resolve`), or for `auto` an
 * address of this host.
 * @throws saying which address nerve looked for and why it found none
 */
export async function announcedHost(host: string, resolve: boolean): Promise<string> {
  const match = autoPattern.exec(host);
  if (match === null) return resolve ? await resolveName(host) : host;
  const { from = 'any' } = match.groups ?? {};
  const family = match.groups?.family as Family | undefined;
  if (from === 'ec2') {
    // Loaded only here: few configurations need this HTTP client, and it is slow to load.
    const { instanceAddress } = await import('./ec2-metadata.ts');
    return await instanceAddress(family ?? 'ipv4', timeoutSignal(timeoutMs));
  }
  if (from === 'any' || from === 'ipv4' || from === 'ipv6') {
    const address = await primaryAddress(from === 'any' ? family : from);
    if (address !== undefined) return address;
    throw new Error(`is ${host}, but this host has no such address besides loopback; write the address`);
  }
  return interfaceAddress(from, family);
}

async function resolveName(host: string): Promise<string> {
  const never = new AbortController().signal;
  try {
    const [first] = await withTimeout(() => lookUpAll(host), { timeoutMs, what: 'DNS' }, never);
    if (first === undefined) throw new Error('no address');
    return first.address;
  } catch (error) {
    throw new Error(`cannot resolve ${host}: ${reasonOf(error)}`, { cause: error });
  }
}
