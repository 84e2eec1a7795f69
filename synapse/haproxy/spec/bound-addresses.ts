import { isIP } from 'node:net';
import { canonicalAddress, isLoopback, isMapped, wordsOf } from '../../../common/net/ip-words.ts';

/** An address that a `bind` or `stats socket` line has HAProxy listen on. */
export interface BoundAddress {
  /** As it is written, without the others of its line. */
  readonly text: string;
  /** `unix`: a socket in the file system. `abns`: one without a file. */
  readonly transport: 'tcp' | 'unix' | 'abns';
  /** The host, or the name of the socket, in a form in which equal ones are equal texts. */
  readonly host: string;
  /** For TCP: which addresses of this host. A name may be any of them. */
  readonly reach: 'all-ipv4' | 'all-ipv6' | 'all' | 'loopback' | 'one' | 'unknown';
  readonly family: 4 | 6 | undefined;
  /** 0 for sockets that have no port. */
  readonly firstPort: number;
  readonly lastPort: number;
  /** Interface and network namespace: in another one, another listener may have the same address. */
  readonly scope: string;
}

const prefixes: Readonly<Record<string, 'tcp' | 'tcp4' | 'tcp6' | 'unix' | 'abns'>> = {
  ipv4: 'tcp4',
  ipv6: 'tcp6',
  tcp: 'tcp',
  tcp4: 'tcp4',
  tcp6: 'tcp6',
  mptcp: 'tcp',
  mptcp4: 'tcp4',
  mptcp6: 'tcp6',
  unix: 'unix',
  uxst: 'unix',
  abns: 'abns',
  abnsz: 'abns',
};

/**
 * The addresses of a `bind` or `stats socket` line (configuration manual, section 11.1). None for what synapse cannot compare:
 * variables, inherited file descriptors, UDP (`quic4@`) and connections that HAProxy opens itself (`rhttp@`).
 */
export function boundAddresses(line: string): readonly BoundAddress[] {
  const [, addresses = '', rest = ''] = /^(?:bind|stats\s+socket)\s+(\S+)\s*(.*)$/.exec(line.trim()) ?? [];
  const options = rest.split(/\s+/);
  const valueAfter = (option: string): string => options[options.indexOf(option) + 1] ?? '';
  const scope = ['interface', 'namespace']
    .filter((option) => options.includes(option))
    .map((option) => `${option} ${valueAfter(option)}`)
    .join(' ');
  const bound = { scope, isV6Only: options.includes('v6only') };
  return addresses
    .replace(/^"([^"]*)"$|^'([^']*)'$/, '$1$2')
    .split(',')
    .map((text) => boundAddress(text, bound))
    .filter((address) => address !== undefined);
}

function boundAddress(
  text: string,
  { scope, isV6Only }: { readonly scope: string; readonly isV6Only: boolean },
): BoundAddress | undefined {
  if (/[$"'\\{}]/.test(text)) return undefined;
  const [, prefix, rest = text] = /^([a-z0-9+]+)@(.*)$/.exec(text) ?? [];
  const kind = prefix === undefined ? (text.startsWith('/') ? 'unix' : 'tcp') : prefixes[prefix];
  if (kind === undefined) return undefined;
  if (kind === 'unix' || kind === 'abns') {
    const none = { reach: 'one', family: undefined, firstPort: 0, lastPort: 0 } as const;
    return rest === '' ? undefined : { text, transport: kind, host: rest, scope: '', ...none };
  }
  const [, host = '', first = '', last = first] = /^(.*):([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(rest) ?? [];
  if (first === '') return undefined;
  const ports = { firstPort: Number(first), lastPort: Number(last) };
  return { text, transport: 'tcp', scope, ...ports, ...reachOf(host.replace(/^\[(.*)\]$/, '$1'), kind, isV6Only) };
}

function reachOf(
  host: string,
  kind: 'tcp' | 'tcp4' | 'tcp6',
  isV6Only: boolean,
): Pick<BoundAddress, 'host' | 'reach' | 'family'> {
  const isAny = host === '' || host === '*' || host === '0.0.0.0' || (isIP(host) === 6 && isAllZero(host));
  if (isAny) {
    const isIPv6 = kind === 'tcp6' || host.includes(':');
    if (!isIPv6) return { host: '0.0.0.0', reach: 'all-ipv4', family: 4 };
    // `v4v6` or the kernel's default (net.ipv6.bindv6only): IPv4 too.
    return { host: '::', reach: isV6Only ? 'all-ipv6' : 'all', family: 6 };
  }
  // Linux has 127.0.0.1 for localhost unless /etc/hosts says otherwise.
  const name = host.toLowerCase() === 'localhost' ? (kind === 'tcp6' ? '::1' : '127.0.0.1') : host;
  if (isIP(name) === 0) return { host: name.toLowerCase(), reach: 'unknown', family: undefined };
  const words = wordsOf(name);
  const family = isMapped(words) ? 4 : 6;
  return { host: canonicalAddress(name), reach: isLoopback(name) ? 'loopback' : 'one', family };
}

function isAllZero(address: string): boolean {
  return wordsOf(address).every((word) => word === 0);
}

/**
 * How two listeners in two sections get in each other's way (measured on HAProxy 2.6 to 3.4, with Linux):
 * - `shared`: both listen, and the kernel gives each connection to one of them at random. Of two sockets with one path, the one
 *   that is opened last has all connections, and HAProxy does not start with two `abns` sockets of one name.
 * - `covered`: one listens on all addresses, and connections to this host itself, or all of IPv4, reach only the other one.
 * - `carved`: one listens on all addresses, and the other one on one address of this host, which is out of its reach.
 */
export type Collision = 'shared' | 'covered' | 'carved';

/** How two listeners collide; undefined when they do not, or when that is not known. */
export function collisionOf(a: BoundAddress, b: BoundAddress): Collision | undefined {
  if (a.transport !== b.transport || a.scope !== b.scope) return undefined;
  if (a.firstPort > b.lastPort || b.firstPort > a.lastPort) return undefined;
  // `:::80` beside `:::80 v6only` too.
  if (a.host === b.host) return 'shared';
  const [wide, narrow] = a.reach === 'all' || (isWide(a) && b.reach !== 'all') ? [a, b] : [b, a];
  if (!isWide(wide) || narrow.reach === 'unknown') return undefined;
  const reaches = wide.reach === 'all' || (wide.reach === 'all-ipv4' ? narrow.family === 4 : narrow.family === 6);
  if (!reaches) return undefined;
  return isWide(narrow) || narrow.reach === 'loopback' ? 'covered' : 'carved';
}

function isWide({ reach }: BoundAddress): boolean {
  return reach === 'all' || reach === 'all-ipv4' || reach === 'all-ipv6';
}
