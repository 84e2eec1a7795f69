import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Schema } from '../config/config.ts';
import { failure } from '../reason.ts';

/** How a client speaks TLS; the names follow those of SmartStack's http check. */
export interface TlsClientOptions {
  readonly ssl_verify: boolean;
  readonly ssl_ca: string | null;
  readonly ssl_cert: string | null;
  readonly ssl_key: string | null;
  readonly ssl_server_name: string | null;
}

const file = { format: 'optional-non-empty-string', names: 'PEM file', default: null } as const;

/** The schema of {@link TlsClientOptions}. */
export const tlsClientSchema: Schema<TlsClientOptions> = {
  ssl_verify: {
    doc: 'refuse a certificate that is not trusted, or that names another host',
    format: 'boolean',
    default: true,
  },
  ssl_ca: { doc: 'file of the authorities to trust (PEM); by default those that Node trusts', ...file },
  ssl_cert: { doc: "file of our own certificate (PEM), for servers that ask for the client's", ...file },
  ssl_key: { doc: 'file of the key to ssl_cert (PEM)', ...file },
  ssl_server_name: {
    doc: "name to ask for (SNI) and to expect in the certificate; by default the check's host",
    format: 'optional-non-empty-string',
    default: null,
  },
};

/** What `tls.connect` and the clients of databases take. */
export interface TlsConnection {
  /** The name or address that the certificate must carry. */
  readonly host: string;
  readonly rejectUnauthorized: boolean;
  readonly servername?: string;
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** @throws when the options make no sense together */
export function checkTlsClient({ ssl_cert, ssl_key }: TlsClientOptions): void {
  if ((ssl_cert === null) !== (ssl_key === null))
    throw new Error('ssl_cert and ssl_key go together: give both or none');
}

/**
 * The options for `tls.connect`. Files are read on each call, so a certificate that was renewed is taken at once.
 * @throws naming the file that cannot be read
 */
export async function tlsClient(options: TlsClientOptions, host: string): Promise<TlsConnection> {
  const [ca, cert, key] = await Promise.all([read(options.ssl_ca), read(options.ssl_cert), read(options.ssl_key)]);
  const name = options.ssl_server_name ?? host;
  return {
    rejectUnauthorized: options.ssl_verify,
    host: name,
    // TLS has no server names that are addresses (RFC 6066, section 3); those are looked for in the certificate only.
    ...(isIP(name) === 0 && { servername: name }),
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

async function read(path: string | null): Promise<Buffer | undefined> {
  if (path === null) return undefined;
  return await readFile(path).catch((error) => {
    throw failure(`cannot read ${path}`, error);
  });
}
