import { abortable } from '../../common/async/abort.ts';
import { type Address, formatAddress, openSocket } from '../../common/net/socket.ts';
import { checkTlsClient, type TlsClientOptions, tlsClient, tlsClientSchema } from '../../common/net/tls-client.ts';
import { optionalPackage } from '../../common/plugin.ts';
import { failure } from '../../common/reason.ts';
import { formatDuration } from '../../common/wording.ts';
import type { CheckPlugin, CheckTarget } from '../check.ts';

const mysql = await optionalPackage('mysql2', () => import('mysql2/promise'));

/** The options of the check `mysql`. */
export interface MysqlCheckOptions extends TlsClientOptions {
  readonly socket: string | null;
  readonly username: string;
  readonly password: string | null;
  readonly database: string | null;
  readonly read_only: boolean | null;
  readonly max_lag: number | null;
  readonly ssl: boolean;
}

/** `mysql` */
export const check: CheckPlugin<MysqlCheckOptions> = {
  description: 'Passes when MySQL or MariaDB accepts a login and answers SELECT 1, and meets the conditions below.',
  schema: {
    socket: {
      doc: 'unix socket to use instead of host and port',
      format: 'optional-non-empty-string',
      names: 'socket',
      default: null,
    },
    username: { doc: 'user to log in as', format: 'non-empty-string', default: 'nerve' },
    password: { doc: 'password of the user', format: 'optional-string', default: null, sensitive: true },
    database: { doc: 'database to use; by default none', format: 'optional-non-empty-string', default: null },
    read_only: {
      doc: 'required value of the server variable read_only: false for servers that take writes; by default either',
      format: 'optional-boolean',
      default: null,
    },
    max_lag: {
      doc: 'require a replica that replicates and is at most this far behind its source; needs the privilege to read that',
      format: 'optional-positive-duration',
      default: null,
    },
    ssl: { doc: 'speak TLS', format: 'boolean', default: false },
    ...tlsClientSchema,
  },
  create(options, target) {
    checkTlsClient(options);
    mysql();
    return (signal) => probe(options, target, signal);
  },
};

async function probe(options: MysqlCheckOptions, target: CheckTarget, signal: AbortSignal): Promise<void> {
  const { username: user, password, database, ssl } = options;
  const address: Address =
    options.socket === null ? { host: target.host, port: target.port } : { path: options.socket };
  const names = ssl ? await tlsClient(options, target.host) : undefined;
  const socket = await openSocket(address, signal);
  // The client passes on only a host that is a name. node:tls verifies an address that it finds here.
  if (names !== undefined) Object.assign(socket, { _host: names.host });
  const work = async (): Promise<void> => {
    const connection = await mysql().createConnection({
      stream: () => socket,
      user,
      ...(password !== null && { password }),
      ...(database !== null && { database }),
      // The name in the certificate; the socket is connected already.
      ...(names !== undefined && { host: names.host, ssl: { ...names, verifyIdentity: names.rejectUnauthorized } }),
      connectTimeout: 0,
    });
    connection.on('error', () => {});
    const query = async (sql: string): Promise<Readonly<Record<string, unknown>> | undefined> => {
      const [rows] = await connection.query(sql).catch((error) => {
        throw Object.assign(failure(sql, error), { code: error.code });
      });
      return (rows as Record<string, unknown>[])[0];
    };
    await query('SELECT 1');
    await assertConditions(query, options);
    // Not destroy: the server counts and logs connections that are dropped.
    await connection.end();
  };
  try {
    await abortable(work(), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw failure(`mysql at ${formatAddress(address)}`, error);
  } finally {
    socket.destroy();
  }
}

type Query = (sql: string) => Promise<Readonly<Record<string, unknown>> | undefined>;

async function assertConditions(query: Query, { read_only, max_lag }: MysqlCheckOptions): Promise<void> {
  if (read_only !== null) {
    const found = Number((await query('SELECT @@global.read_only AS read_only'))?.read_only) === 1;
    if (found !== read_only)
      throw new Error(`read_only is ${found ? 'on' : 'off'}, expected ${read_only ? 'on' : 'off'}`);
  }
  if (max_lag === null) return;
  const status = await replicaStatus(query);
  if (status === undefined) throw new Error('the server is not a replica');
  const seconds = status.Seconds_Behind_Source ?? status.Seconds_Behind_Master;
  if (seconds === null || seconds === undefined) {
    const why = status.Last_Error || status.Last_IO_Error;
    throw new Error(`replication is not running${why ? `: ${why}` : ''}`);
  }
  if (Number(seconds) * 1000 > max_lag) {
    throw new Error(`${seconds} s behind the source, max_lag is ${formatDuration(max_lag)}`);
  }
}

/** Asks in the words of newer servers first, then in those of older ones; each kind knows only its own. */
async function replicaStatus(query: Query): ReturnType<Query> {
  try {
    return await query('SHOW REPLICA STATUS');
  } catch (error) {
    if ((error as { code?: string }).code !== 'ER_PARSE_ERROR') throw error;
    return await query('SHOW SLAVE STATUS');
  }
}
