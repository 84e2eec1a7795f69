import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { isHost } from '../../common/instance.ts';
import { type Purpose, peerName } from './layout.ts';

/** A certificate of a member or a client. */
export interface Leaf {
  /** The member or client: the name of its folder. */
  readonly holder: string;
  readonly purpose: Purpose;
  /** Null for servers: etcd calls itself with that certificate, which must not authenticate a user. */
  readonly commonName: string | null;
  /** Names and addresses of a member; empty for clients. */
  readonly hosts: readonly string[];
}

/** How certificates may be used (RFC 5280, 4.2.1.12). A member is client and server to itself and to the others. */
const usage: Readonly<Record<Purpose, string>> = {
  server: 'serverAuth,clientAuth',
  peer: 'serverAuth,clientAuth',
  client: 'clientAuth',
};

/** The names by which a member is reached from its own host. */
const ownHosts = ['localhost', '127.0.0.1'] as const;

/**
 * The certificates of a member that is written as `NAME=HOST[,HOST…]`.
 * @throws naming the mistake
 */
export function memberLeaves(word: string): readonly Leaf[] {
  const [, holder = '', list = ''] = /^([^=]*)=(.*)$/.exec(word) ?? [];
  const hosts = list.split(',');
  checkHolder(holder, word);
  for (const host of hosts) {
    if (!isHost(host))
      throw new Error(`${word}: '${host}' is not an address or a host name; write NAME=HOST[,HOST...]`);
  }
  const all = [...new Set([...hosts, ...ownHosts])];
  return [
    { holder, purpose: 'server', commonName: null, hosts: all },
    { holder, purpose: 'peer', commonName: peerName, hosts },
  ];
}

/** The certificate of a client, which authenticates the etcd user with this name. @throws when the name cannot be used */
export function clientLeaf(holder: string): Leaf {
  checkHolder(holder, holder);
  if (holder === peerName)
    throw new Error(`${holder}: no client may have this name, because members recognise each other by it`);
  return { holder, purpose: 'client', commonName: holder, hosts: [] };
}

function checkHolder(name: string, word: string): void {
  // The name is that of a folder, and a common name, which has at most 64 characters.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new Error(`${word}: '${name}' is not a valid name; allowed are up to 64 letters, digits, '.', '_' and '-'`);
  }
}

/** The lines of OpenSSL's extension section. */
export function extensionsOf({ purpose, hosts }: Leaf): readonly string[] {
  const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`);
  return [
    'basicConstraints = critical,CA:FALSE',
    'keyUsage = critical,digitalSignature',
    `extendedKeyUsage = ${usage[purpose]}`,
    ...(names.length === 0 ? [] : [`subjectAltName = ${names.join(',')}`]),
  ];
}

/** What decides whether a certificate has to be renewed. */
export interface RenewalRules {
  readonly authority: X509Certificate;
  readonly now: Date;
  /** A certificate that expires within this time is renewed. */
  readonly withinMs: number;
}

/** Why a certificate has to be renewed; undefined when it need not be. */
export function renewalReason(leaf: Leaf, certificate: X509Certificate, rules: RenewalRules): string | undefined {
  const { authority, now, withinMs } = rules;
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) return 'from another authority';
  const validForMs = Date.parse(certificate.validTo) - now.getTime();
  if (validForMs <= 0) return 'has expired';
  if (validForMs < withinMs) return 'expires soon';
  const subject = leaf.commonName === null ? 'O=etcd' : `O=etcd\nCN=${leaf.commonName}`;
  if (certificate.subject !== subject || namesOf(certificate) !== leaf.hosts.map(inCertificate).sort().join())
    return 'has other names';
  return undefined;
}

function inCertificate(host: string): string {
  return isIP(host) === 0 ? `DNS:${host}` : `IP Address:${canonical(host)}`;
}

/** An address as Node prints it in certificates; IPv6 addresses in full, without leading zeros, as OpenSSL does. */
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
