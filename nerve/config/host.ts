import { lookup } from 'node:dns/promises';
import { timeoutSignal } from '../../common/async/abort.ts';
import { formats } from '../../common/config/formats.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { type Family, interfaceAddress, primaryAddress } from './local-address.ts';

/** `auto`, and after it where from: a family, an interface with or without one, or EC2's metadata. */
const autoPattern = /^auto(?::(?<from>[^\s:]{1,15}))?(?::(?<family>ipv4|ipv6))?$/;

/** How long a name server, or the metadata service, may take. Milliseconds. */
const timeout = 3000;

/** Checks the `host` of a service. @throws saying what is allowed */
export function readHost(value: unknown): string {
  if (typeof value === 'string' && autoPattern.test(value)) return value;
  return formats.host(value) as string;
}

/**
 * The host to announce: an address or a name as it is, the address that a name has now, or one of this host's own.
 * @throws saying what was looked for and why it is not there
 */
export async function announcedHost(host: string, resolve: boolean): Promise<string> {
  const match = autoPattern.exec(host);
  if (match === null) return resolve ? await resolveName(host) : host;
  const { from = 'any' } = match.groups ?? {};
  const family = match.groups?.family as Family | undefined;
  if (from === 'ec2') {
    // Loaded here: its HTTP client takes longer to load than all the rest, and few ask for it.
    const { instanceAddress } = await import('./ec2-metadata.ts');
    return await instanceAddress(family ?? 'ipv4', timeoutSignal(timeout));
  }
  if (from === 'any' || from === 'ipv4' || from === 'ipv6') {
    const address = await primaryAddress(from === 'any' ? family : from);
    if (address !== undefined) return address;
    throw new Error(`is ${host}, but this host has no such address besides loopback; write the address`);
  }
  return interfaceAddress(from, family);
}

async function resolveName(host: string): Promise<string> {
  const late = timeoutSignal(timeout);
  const expired = new Promise<never>((_, reject) => {
    late.addEventListener('abort', () => reject(new Error(`no answer within ${timeout} ms`)), { once: true });
  });
  try {
    return (await Promise.race([lookup(host), expired])).address;
  } catch (error) {
    throw new Error(`cannot resolve ${host}: ${reasonOf(error)}`, { cause: error });
  }
}
