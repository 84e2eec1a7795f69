import type { Socket } from 'node:net';
import type { Channel, ChannelModel, SocketOptions } from 'amqplib';
import { abortable } from '../../common/async/abort.ts';
import { sharedLookup } from '../../common/net/lookup.ts';
import { formatAddress, openSocket } from '../../common/net/socket.ts';
import { checkTlsClient, type TlsClientOptions, tlsClient, tlsClientSchema } from '../../common/net/tls-client.ts';
import { optionalPackage } from '../../common/plugin.ts';
import { failure } from '../../common/reason.ts';
import type { CheckPlugin, CheckTarget } from '../check.ts';

const amqp = await optionalPackage('amqplib', async () => (await import('amqplib')).default);

/** The options of the check `rabbitmq`. */
export interface RabbitmqCheckOptions extends TlsClientOptions {
  readonly username: string;
  readonly password: string;
  readonly vhost: string;
  readonly queue: string | null;
  readonly round_trip: boolean;
  readonly ssl: boolean;
}

/** `rabbitmq` */
export const check: CheckPlugin<RabbitmqCheckOptions> = {
  description:
    'Passes when RabbitMQ accepts a login to a virtual host and, where required, has a queue or delivers a message.',
  schema: {
    username: { doc: 'user to log in as', format: 'non-empty-string', default: 'guest' },
    password: { doc: 'password of the user', format: 'string', default: 'guest', sensitive: true },
    vhost: { doc: 'virtual host to open', format: 'non-empty-string', default: '/' },
    queue: { doc: 'queue that must exist; by default none', format: 'optional-non-empty-string', default: null },
    round_trip: {
      doc: "publish a message to the queue 'nerve' (created if missing) and get it back, as SmartStack does",
      format: 'boolean',
      default: false,
    },
    ssl: { doc: 'speak TLS', format: 'boolean', default: false },
    ...tlsClientSchema,
  },
  create(options, target) {
    checkTlsClient(options);
    amqp();
    return (signal) => probe(options, target, signal);
  },
};

async function probe(options: RabbitmqCheckOptions, target: CheckTarget, signal: AbortSignal): Promise<void> {
  const { username, password, vhost, queue, round_trip, ssl } = options;
  const names = ssl ? await tlsClient(options, target.host) : undefined;
  // The client opens a plain connection itself, with a signal that ends it. TLS goes over a socket of the check.
  const raw: Socket | undefined = names === undefined ? undefined : await openSocket(target, signal);
  let connection: ChannelModel | undefined;
  // node:net opens a socket even when its signal has aborted before.
  signal.throwIfAborted();
  const work = async (): Promise<void> => {
    connection = await amqp().connect(
      {
        protocol: names === undefined ? 'amqp' : 'amqps',
        hostname: target.host,
        port: target.port,
        username,
        password,
        // The client expects it encoded as in a URL.
        vhost: encodeURIComponent(vhost),
        heartbeat: 0,
      },
      {
        noDelay: true,
        ...(names === undefined ? { signal, lookup: sharedLookup } : { ...names, socket: raw }),
      } as SocketOptions,
    );
    await Promise.race([broken(connection), useBroker(connection, { queue, round_trip })]);
  };
  try {
    await abortable(work(), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw failure(`rabbitmq at ${formatAddress(target)}`, vhostRefused.test(String(error)) ? noVhost(options) : error);
  } finally {
    if (connection !== undefined) socketOf(connection).destroy();
    raw?.destroy();
  }
}

/** The client's error when the server closes the connection instead of opening the virtual host. */
const vhostRefused = /Expected ConnectionOpenOk; got <ConnectionClose/;

function noVhost({ username, vhost }: RabbitmqCheckOptions): string {
  return `there is no virtual host ${vhost}, or user ${username} may not use it`;
}

/** Rejects when the connection breaks: the client does not always reject the running calls then. */
function broken(connection: ChannelModel): Promise<never> {
  return new Promise((_, reject) => connection.on('error', reject));
}

async function useBroker(
  connection: ChannelModel,
  { queue, round_trip }: { queue: string | null; round_trip: boolean },
): Promise<void> {
  if (queue !== null) {
    const channel = await openChannel(connection);
    await channel.checkQueue(queue);
  }
  if (round_trip) await roundTrip(await openChannel(connection));
  // Not destroy: the server logs a warning about each connection that is dropped.
  await connection.close();
}

async function openChannel(connection: ChannelModel): Promise<Channel> {
  const channel = await connection.createChannel();
  channel.on('error', () => {}); // each error also rejects the running call
  return channel;
}

/** Uses SmartStack's queue, message and expiration of two seconds, so that both can run side by side. */
async function roundTrip(channel: Channel): Promise<void> {
  await channel.assertQueue('nerve', { durable: false });
  channel.sendToQueue('nerve', Buffer.from('nerve test message'), { expiration: 2000 });
  const message = await channel.get('nerve');
  if (message === false) throw new Error('the published message did not come back');
  channel.ack(message);
}

/** The socket of the connection, which the client's types hide. */
function socketOf(connection: ChannelModel): Socket {
  return (connection.connection as unknown as { readonly stream: Socket }).stream;
}
