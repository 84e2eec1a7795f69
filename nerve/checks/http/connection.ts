import type { Socket } from 'node:net';
import { clock } from '../../../common/async/clock.ts';
import { type Address, formatAddress, openSocket, startTls } from '../../../common/net/socket.ts';
import { tlsClient } from '../../../common/net/tls-client.ts';
import type { CheckTarget } from '../../check.ts';
import type { HttpCheckOptions } from './options.ts';

/** The connection, and what HTTP is spoken over: the same, or TLS on it. */
export async function openConnection(
  options: HttpCheckOptions,
  { host, port }: CheckTarget,
  signal: AbortSignal,
): Promise<{ readonly socket: Socket; readonly channel: Socket }> {
  const { ssl, http2, open_timeout, ssl_timeout } = options;
  const address: Address = options.socket === null ? { host, port } : { path: options.socket };
  const limit = new AbortController();
  const onAbort = (): void => limit.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const longest = open_timeout === null ? null : open_timeout + (ssl_timeout ?? 0);
  const timer =
    longest === null
      ? undefined
      : clock.setTimeout(
          () => limit.abort(new Error(`no connection to ${formatAddress(address)} within ${longest} ms`)),
          longest,
        );
  let socket: Socket | undefined;
  try {
    signal.throwIfAborted();
    const names = ssl ? await tlsClient(options, host) : undefined;
    socket = await openSocket(address, limit.signal);
    let channel = socket;
    if (names !== undefined) {
      const secure = await startTls(socket, { ...names, ALPNProtocols: [http2 ? 'h2' : 'http/1.1'] }, limit.signal);
      if (http2 && secure.alpnProtocol !== 'h2') throw new Error('the server does not speak HTTP/2');
      channel = secure;
    }
    return { socket, channel };
  } catch (error) {
    socket?.destroy();
    throw error;
  } finally {
    clock.clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
