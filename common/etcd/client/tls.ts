import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { ChannelCredentials } from '@grpc/grpc-js';
import { unreadable } from '../../config/problem.ts';
import type { EtcdTls, Host } from './options.ts';

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
    throw new Error(`cannot read the TLS file ${file}: it ${unreadable(error as NodeJS.ErrnoException)}`);
  }
}
