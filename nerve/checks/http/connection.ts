import type { Socket } from 'node:net';
import { linkAbort } from '../../../common/async/abort.ts';
import { clock } from '../../../common/async/clock.ts';
import { type Address, formatAddress, openSocket, startTls } from '../../../common/net/socket.ts';
import { tlsClient } from '../../../common/net/tls-client.ts';
import { formatLatency } from '../../../common/wording.ts';
import type { CheckTarget } from '../../check.ts';
import type { HttpCheckOptions } from './options.ts';

/** An open connection. */
export interface Connection {
  readonly socket: Socket;
  /** What HTTP is spoken over: the socket itself, or TLS on it. */
  readonly channel: Socket;
}

/** Opens the connection for one request. The caller destroys its socket. */
export async function openConnection(
  options: HttpCheckOptions,
  { host, port }: CheckTarget,
  signal: AbortSignal,
): Promise<Connection> {
  signal.throwIfAborted();
  const { ssl, http2, open_timeout, ssl_timeout } = options;
  const address: Address = options.socket === null ? { host, port } : { path: options.socket };
  const deadline = linkAbort(signal);
  const limitMs = open_timeout === null ? null : open_timeout + (ssl_timeout ?? 0);
  const expire = (): void => {
    deadline.abort(new Error(`no connection to ${formatAddress(address)} within ${formatLatency(limitMs ?? 0)}`));
  };
  const timer = limitMs === null ? undefined : clock.setTimeout(expire, limitMs);
  let socket: Socket | undefined;
  try {
    const names = ssl ? await tlsClient(options, host) : undefined;
    socket = await openSocket(address, deadline.signal);
    if (names === undefined) return { socket, channel: socket };
    const tls = { ...names, ALPNProtocols: [http2 ? 'h2' : 'http/1.1'] };
    const channel = await startTls(socket, tls, deadline.signal);
    if (http2 && channel.alpnProtocol !== 'h2') throw new Error('the server does not speak HTTP/2');
    return { socket, channel };
  } catch (error) {
    socket?.destroy();
    throw error;
  } finally {
    clock.clearTimeout(timer);
    deadline.release();
  }
}
