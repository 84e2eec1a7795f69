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

export interface RabbitmqCheckOptions extends TlsClientOptions {
  readonly username: string;
  readonly password: string;
  readonly vhost: string;
  readonly queue: string | null;
  readonly round_trip: boolean;
  readonly ssl: boolean;
}

export const check: CheckPlugin<RabbitmqCheckOptions> = {
  description: 'Passes when RabbitMQ lets us log in to a virtual host and, if asked, has a queue or carries a message.',
  schema: {
    username: { doc: 'user to log in as', format: 'non-empty-string', default: 'guest' },
    password: { doc: 'password of the user', format: 'string', default: 'guest', sensitive: true },
    vhost: { doc: 'virtual host to open', format: 'non-empty-string', default: '/' },
    queue: { doc: 'queue that must exist; by default none', format: 'optional-non-empty-string', default: null },
    round_trip: {
      doc: "publish a message to a queue 'nerve' (made when missing) and get it back, as SmartStack does",
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
  // The client opens plain connections itself, with a signal that ends them; encrypted ones go over ours.
  const raw: Socket | undefined = names === undefined ? undefined : await openSocket(target, signal);
  let connection: ChannelModel | undefined;
  // A socket made with a signal that has aborted before would open all the same (node:net).
  signal.throwIfAborted();
  const work = async (): Promise<void> => {
    connection = await amqp().connect(
      {
        protocol: names === undefined ? 'amqp' : 'amqps',
        hostname: target.host,
        port: target.port,
        username,
        password,
        // The client takes it for a part of a URL.
        vhost: encodeURIComponent(vhost),
        heartbeat: 0,
      },
      {
        noDelay: true,
        ...(names === undefined ? { signal, lookup: sharedLookup } : { ...names, socket: raw }),
      } as SocketOptions,
    );
    await Promise.race([broken(connection), use(connection, { queue, round_trip })]);
  };
  try {
    await abortable(work(), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw failure(`rabbitmq at ${formatAddress(target)}`, noVhost.test(String(error)) ? missing(options) : error);
  } finally {
    if (connection !== undefined) socketOf(connection).destroy();
    raw?.destroy();
  }
}

/** How the client says that the server closed the connection instead of opening the virtual host. */
const noVhost = /Expected ConnectionOpenOk; got <ConnectionClose/;

function missing({ username, vhost }: RabbitmqCheckOptions): string {
  return `there is no virtual host ${vhost}, or user ${username} may not use it`;
}

/** Rejects when the connection breaks: what is under way on it would not always be told. */
function broken(connection: ChannelModel): Promise<never> {
  return new Promise((_, reject) => connection.on('error', reject));
}

async function use(
  connection: ChannelModel,
  { queue, round_trip }: { queue: string | null; round_trip: boolean },
): Promise<void> {
  if (queue !== null) {
    const channel = await openChannel(connection);
    await channel.checkQueue(queue);
  }
  if (round_trip) await carry(await openChannel(connection));
  // Says good-bye: the server logs a warning about each one who just hangs up.
  await connection.close();
}

async function openChannel(connection: ChannelModel): Promise<Channel> {
  const channel = await connection.createChannel();
  channel.on('error', () => {}); // each one also rejects what is under way
  return channel;
}

/** The queue, the message and its life of two seconds are those of SmartStack, so that both can run side by side. */
async function carry(channel: Channel): Promise<void> {
  await channel.assertQueue('nerve', { durable: false });
  channel.sendToQueue('nerve', Buffer.from('nerve test message'), { expiration: 2000 });
  const message = await channel.get('nerve');
  if (message === false) throw new Error('the message that was published did not come back');
  channel.ack(message);
}

/** The client's types hide the stream that it speaks over. */
function socketOf(connection: ChannelModel): Socket {
  return (connection.connection as unknown as { readonly stream: Socket }).stream;
}
