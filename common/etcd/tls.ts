import { readFileSync, statSync } from 'node:fs';
import { ChannelCredentials } from '@grpc/grpc-js';
import type { EtcdTls } from './options.ts';

/** Credentials for new connections, and a mark that differs when the files they came from have changed. */
export interface Credentials {
  readonly channel: ChannelCredentials;
  readonly mark: string;
}

const plain: Credentials = { channel: ChannelCredentials.createInsecure(), mark: '' };

/**
 * Reads the PEM files when they are new or have changed since `previous`.
 * @throws naming the file that cannot be read
 */
export function loadCredentials(secure: boolean, tls: EtcdTls | undefined, previous?: Credentials): Credentials {
  if (!secure) return plain;
  const mark = [tls?.ca, tls?.cert, tls?.key].map((file) => (file ? stamp(file) : '-')).join(' ');
  if (previous?.mark === mark) return previous;
  const read = (file: string | undefined): Buffer | null => (file ? attempt(file, (path) => readFileSync(path)) : null);
  return { channel: ChannelCredentials.createSsl(read(tls?.ca), read(tls?.key), read(tls?.cert)), mark };
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
