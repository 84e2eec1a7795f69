import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext } from 'node:tls';
import { ChannelCredentials } from '@grpc/grpc-js';
import { ConfigError, type Problem } from '../../config/problem.ts';
import { reasonOf } from '../../daemon/log.ts';
import type { EtcdOptions, EtcdTls, Host } from './options.ts';

/** Credentials for new connections. `mark` differs when the files that they came from have changed. */
export interface Credentials {
  readonly channel: ChannelCredentials;
  readonly mark: string;
}

const plain: Credentials = { channel: ChannelCredentials.createInsecure(), mark: '' };

/**
 * Reads the PEM files when they are new or have changed since `previous`.
 * @throws naming the file that cannot be read
 */
export function loadCredentials(host: Host, tls: EtcdTls | undefined, previous?: Credentials): Credentials {
  if (!host.secure) return plain;
  const mark = [tls?.ca, tls?.cert, tls?.key].map((file) => (file ? stamp(file) : '-')).join(' ');
  if (previous?.mark === mark) return previous;
  const read = (file: string | undefined): Buffer | null => (file ? attempt(file, (path) => readFileSync(path)) : null);
  const expected = tls?.serverName ?? hostOf(host);
  const channel = ChannelCredentials.createSsl(read(tls?.ca), read(tls?.key), read(tls?.cert), {
    // Not the name that was requested: see requestedServerName.
    checkServerIdentity: (_, certificate) => checkServerIdentity(expected, certificate),
  });
  return { channel, mark };
}

/**
 * The server name to request (SNI) when it is not the one in the address. TLS has no server names that are IP addresses (RFC
 * 6066, section 3), and Node warns of them: at an IP address, the name 'etcd' is requested.
 */
export function requestedServerName(host: Host, tls: EtcdTls | undefined): string | undefined {
  if (!host.secure) return undefined;
  return tls?.serverName ?? (isIP(hostOf(host)) === 0 ? undefined : 'etcd');
}

function hostOf({ url }: Host): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '');
}

function stamp(file: string): string {
  const { mtimeMs, size, ino } = attempt(file, (path) => statSync(path));
  return `${mtimeMs}:${size}:${ino}`;
}

function attempt<T>(file: string, read: (file: string) => T): T {
  try {
    return read(file);
  } catch (error) {
    throw new Error(`cannot read the TLS file ${file}`, { cause: error });
  }
}

/**
 * Checks the TLS files of an `etcd` section, for `check` commands. A running daemon does not insist on them: files may be
 * delivered after its start, and are read again when they change.
 * @throws {ConfigError} naming each file that cannot be read or is not what it should be
 */
export function checkTlsFiles({ tls }: EtcdOptions, file: string): void {
  const problems: Problem[] = [];
  const add = (key: string, message: string): void => void problems.push({ file, path: `etcd.${key}`, message });
  const texts = new Map<string, Buffer>();
  for (const key of ['ca', 'cert', 'key'] as const) {
    const path = tls?.[key];
    if (path === undefined) continue;
    try {
      texts.set(key, readFileSync(path));
    } catch (error) {
      add(`tls.${key}`, `cannot be read: ${reasonOf(error)}`);
    }
  }
  const [ca, cert, key] = [texts.get('ca'), texts.get('cert'), texts.get('key')];
  for (const [name, text] of [['ca', ca] as const, ['cert', cert] as const]) {
    const problem = text && certificateProblem(String(text));
    if (problem) add(`tls.${name}`, problem);
  }
  if (problems.length === 0) {
    try {
      createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
    } catch (error) {
      add('tls', `cannot be used: ${reasonOf(error)}`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

/** OpenSSL skips certificates of a list that it cannot read, and then trusts no server. @returns what is wrong */
function certificateProblem(text: string): string | undefined {
  const blocks = text.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END/g);
  if (blocks === null) return 'has no certificate in PEM form';
  try {
    for (const block of blocks) new X509Certificate(`${block} CERTIFICATE-----`);
    return undefined;
  } catch (error) {
    return `has a certificate that cannot be read: ${reasonOf(error)}`;
  }
}
