import { Socket } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { abortable } from '../../common/async/abort.ts';
import { sharedLookup } from '../../common/net/lookup.ts';
import { type Address, formatAddress } from '../../common/net/socket.ts';
import { checkTlsClient, type TlsClientOptions, tlsClient, tlsClientSchema } from '../../common/net/tls-client.ts';
import { optionalPackage } from '../../common/plugin.ts';
import { failure } from '../../common/reason.ts';
import type { CheckPlugin, CheckTarget } from '../check.ts';

const pg = await optionalPackage('pg', async () => (await import('pg')).default);

/** The options of the check `postgres`. */
export interface PostgresCheckOptions extends TlsClientOptions {
  readonly socket: string | null;
  readonly username: string;
  readonly password: string | null;
  readonly database: string;
  readonly role: 'any' | 'primary' | 'standby';
  readonly ssl: boolean;
}

/** `postgres` */
export const check: CheckPlugin<PostgresCheckOptions> = {
  description: 'Passes when PostgreSQL accepts a login, answers SELECT 1 and has the required role.',
  schema: {
    socket: {
      doc: 'unix socket to use instead of host and port, such as /run/postgresql/.s.PGSQL.5432',
      format: 'optional-non-empty-string',
      names: 'socket',
      default: null,
    },
    username: { doc: 'user to log in as', format: 'non-empty-string', default: 'nerve' },
    password: { doc: 'password of the user', format: 'optional-string', default: null, sensitive: true },
    database: { doc: 'database to log in to', format: 'non-empty-string', default: 'postgres' },
    role: {
      doc: 'required role: a primary is not in recovery, a standby is',
      format: ['any', 'primary', 'standby'],
      default: 'any',
    },
    ssl: { doc: 'speak TLS', format: 'boolean', default: false },
    ...tlsClientSchema,
  },
  create(options, target) {
    checkTlsClient(options);
    pg();
    return (signal) => probe(options, target, signal);
  },
};

async function probe(options: PostgresCheckOptions, target: CheckTarget, signal: AbortSignal): Promise<void> {
  const { username: user, password, database, ssl, role } = options;
  const address: Address =
    options.socket === null ? { host: target.host, port: target.port } : { path: options.socket };
  const names = ssl ? await tlsClient(options, target.host) : undefined;
  signal.throwIfAborted();
  const socket = new Socket({ signal });
  // The client calls connect itself, with the name in the certificate; the socket must go to the target instead.
  const connect = socket.connect.bind(socket);
  Object.assign(socket, { connect: () => connect({ ...address, lookup: sharedLookup }) });
  const client = new (pg().Client)({
    stream: () => socket,
    host: names?.host ?? target.host,
    port: target.port,
    user,
    // Never undefined: the client would look for a password in the environment and in files.
    password: password ?? '',
    database,
    application_name: 'nerve',
    ssl:
      names === undefined
        ? false
        : { ...names, checkServerIdentity: (_, certificate) => checkServerIdentity(names.host, certificate) },
  });
  client.on('error', () => {}); // each error also rejects the running call
  const work = async (): Promise<void> => {
    await client.connect();
    const sql = role === 'any' ? 'SELECT 1' : 'SELECT pg_is_in_recovery() AS standby';
    const { rows } = await client.query<{ standby?: boolean }>(sql).catch((error) => {
      throw failure(sql, error);
    });
    const found = rows[0]?.standby ? 'standby' : 'primary';
    await client.end();
    if (role !== 'any' && role !== found) {
      throw new Error(`role is ${found}, expected ${role}`);
    }
  };
  try {
    await abortable(work(), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw failure(`postgres at ${formatAddress(address)}`, error);
  } finally {
    socket.destroy();
  }
}
