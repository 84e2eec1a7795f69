import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { isHost } from '../../common/instance.ts';
import { type Purpose, peerName } from './layout.ts';

/** A certificate that somebody holds. */
export interface Leaf {
  /** The member or client: the name of its folder. */
  readonly holder: string;
  readonly purpose: Purpose;
  /** Null for servers: etcd calls itself with that certificate, and must not be taken for a user. */
  readonly commonName: string | null;
  /** Names and addresses of a member; none for clients. */
  readonly hosts: readonly string[];
}

/** How certificates may be used (RFC 5280, 4.2.1.12). A member is client and server to itself and to the others. */
const usage: Readonly<Record<Purpose, string>> = {
  server: 'serverAuth,clientAuth',
  peer: 'serverAuth,clientAuth',
  client: 'clientAuth',
};

/** By these a member is reached from its own host. */
const ownHosts = ['localhost', '127.0.0.1'] as const;

/**
 * The certificates of a member that is written as `NAME=HOST[,HOST…]`.
 * @throws naming what is wrong with it
 */
export function memberLeaves(word: string): readonly Leaf[] {
  const [, holder = '', list = ''] = /^([^=]*)=(.*)$/.exec(word) ?? [];
  const hosts = list.split(',');
  checkHolder(holder, word);
  for (const host of hosts) {
    if (!isHost(host)) throw new Error(`${word}: '${host}' is no address and no host name; write NAME=HOST[,HOST...]`);
  }
  const all = [...new Set([...hosts, ...ownHosts])];
  return [
    { holder, purpose: 'server', commonName: null, hosts: all },
    { holder, purpose: 'peer', commonName: peerName, hosts },
  ];
}

/** The certificate of a client: of the etcd user with this name. @throws when the name cannot be used */
export function clientLeaf(holder: string): Leaf {
  checkHolder(holder, holder);
  if (holder === peerName) throw new Error(`${holder}: no client may have this name, members know each other by it`);
  return { holder, purpose: 'client', commonName: holder, hosts: [] };
}

function checkHolder(name: string, word: string): void {
  // It becomes a folder and a common name, which has at most 64 characters.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new Error(`${word}: '${name}' cannot be a name; allowed are up to 64 letters, digits, '.', '_' and '-'`);
  }
}

/** What OpenSSL is told. */
export function extensionsOf({ purpose, hosts }: Leaf): readonly string[] {
  const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`);
  return [
    'basicConstraints = critical,CA:FALSE',
    'keyUsage = critical,digitalSignature',
    `extendedKeyUsage = ${usage[purpose]}`,
    ...(names.length === 0 ? [] : [`subjectAltName = ${names.join(',')}`]),
  ];
}

export interface RenewalRules {
  readonly authority: X509Certificate;
  readonly now: Date;
  /** What is good for less than this is renewed, milliseconds. */
  readonly within: number;
}

/** Why a certificate has to be made anew; undefined when it is as it should be. */
export function whyRenew(leaf: Leaf, has: X509Certificate, rules: RenewalRules): string | undefined {
  const { authority, now, within } = rules;
  if (!has.checkIssued(authority) || !has.verify(authority.publicKey)) return 'of another authority';
  const left = Date.parse(has.validTo) - now.getTime();
  if (left <= 0) return 'has expired';
  if (left < within) return 'expires soon';
  const subject = leaf.commonName === null ? 'O=etcd' : `O=etcd\nCN=${leaf.commonName}`;
  if (has.subject !== subject || namesOf(has) !== leaf.hosts.map(inCertificate).sort().join()) return 'of other names';
  return undefined;
}

function inCertificate(host: string): string {
  return isIP(host) === 0 ? `DNS:${host}` : `IP Address:${canonical(host)}`;
}

/** Node prints IPv6 addresses as OpenSSL does: in full, without leading zeros. */
function canonical(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const words = (part: string | undefined): string[] => (part === undefined || part === '' ? [] : part.split(':'));
  const [before, behind] = [words(head), words(tail)];
  const zeros = Array.from({ length: 8 - before.length - behind.length }, () => '0');
  return [...before, ...zeros, ...behind].join(':').toUpperCase();
}

function namesOf({ subjectAltName }: X509Certificate): string {
  return (subjectAltName?.split(', ') ?? []).sort().join();
}
