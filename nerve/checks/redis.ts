import type { RedisClientOptions } from '@redis/client';
import { abortable } from '../../common/async/abort.ts';
import { sharedLookup } from '../../common/net/lookup.ts';
import { type Address, formatAddress, openSocket } from '../../common/net/socket.ts';
import { checkTlsClient, type TlsClientOptions, tlsClient, tlsClientSchema } from '../../common/net/tls-client.ts';
import { optionalPackage } from '../../common/plugin.ts';
import { failure } from '../../common/reason.ts';
import type { CheckPlugin, CheckTarget } from '../check.ts';

const redis = await optionalPackage('@redis/client', () => import('@redis/client'));

/** The options of the check `redis`. */
export interface RedisCheckOptions extends TlsClientOptions {
  readonly socket: string | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly key: string | null;
  readonly role: 'any' | 'master' | 'replica';
  readonly synced: boolean;
  readonly ssl: boolean;
}

/** `redis` */
export const check: CheckPlugin<RedisCheckOptions> = {
  description: 'Passes when Redis answers PING and EXISTS, has the required role and, where required, is in sync.',
  schema: {
    socket: {
      doc: 'unix socket to use instead of host and port',
      format: 'optional-non-empty-string',
      names: 'socket',
      default: null,
    },
    username: { doc: 'ACL user; by default the one named default', format: 'optional-string', default: null },
    password: { doc: 'password for AUTH', format: 'optional-string', default: null, sensitive: true },
    key: {
      doc: 'key for EXISTS, which makes a proxy reach a server behind it; null for PING only',
      format: 'optional-non-empty-string',
      default: 'nerve-redis-service-check',
      nullable: true,
    },
    role: { doc: 'required role', format: ['any', 'master', 'replica'], default: 'any' },
    synced: {
      doc: 'require a replica to have its link to the master up and no full synchronisation running',
      format: 'boolean',
      default: false,
    },
    ssl: { doc: 'speak TLS', format: 'boolean', default: false },
    ...tlsClientSchema,
  },
  create(options, target) {
    checkTlsClient(options);
    if (options.username !== null && options.password === null) throw new Error('username needs password');
    redis();
    return (signal) => probe(options, target, signal);
  },
};

async function probe(options: RedisCheckOptions, target: CheckTarget, signal: AbortSignal): Promise<void> {
  const { ssl, username, password, role, synced, key } = options;
  const address: Address =
    options.socket === null ? { host: target.host, port: target.port } : { path: options.socket };
  const names = ssl ? await tlsClient(options, target.host) : undefined;
  const raw = names === undefined ? undefined : await openSocket(address, signal);
  const client = redis().createClient({
    RESP: 2, // the newer protocol and a name for the connection cost a round trip, and proxies know neither
    disableClientInfo: true,
    ...(username !== null && { username }),
    ...(password !== null && { password }),
    socket: {
      ...address,
      // The client passes these on to node:net and node:tls, so that the check can end the connection at any time.
      ...(names === undefined ? { signal, lookup: sharedLookup } : { ...names, tls: true, socket: raw }),
      connectTimeout: 0,
      reconnectStrategy: false,
    } as NonNullable<RedisClientOptions['socket']>,
  });
  client.on('error', () => {}); // each error also rejects the running call
  // node:net opens a socket even when its signal has aborted before.
  signal.throwIfAborted();
  const work = async (): Promise<void> => {
    await client.connect();
    const answer = await client.sendCommand<string>(['PING']);
    if (answer !== 'PONG') throw new Error(`PING answered ${answer}, expected PONG`);
    if (key !== null) await client.sendCommand(['EXISTS', key]);
    if (role !== 'any' || synced) assertReplication(await client.sendCommand<string>(['INFO', 'replication']), options);
  };
  try {
    await abortable(work(), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw failure(`redis at ${formatAddress(address)}`, error);
  } finally {
    client.destroy();
    raw?.destroy();
  }
}

/** Checks the Replication section of INFO: lines of `name:value`. */
function assertReplication(info: string, { role, synced }: RedisCheckOptions): void {
  const fields = new Map(info.split('\r\n').map((line) => line.split(':', 2) as [string, string]));
  // Redis calls a replica 'slave' here.
  const found = fields.get('role') === 'slave' ? 'replica' : fields.get('role');
  if (role !== 'any' && found !== role) throw new Error(`role is ${found}, expected ${role}`);
  if (!synced || found !== 'replica') return;
  if (fields.get('master_sync_in_progress') === '1') throw new Error('full synchronisation with the master is running');
  const link = fields.get('master_link_status');
  if (link !== 'up') throw new Error(`link to the master is ${link}`);
}
