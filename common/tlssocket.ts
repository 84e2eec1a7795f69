import type { Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { abortable } from './abortable.ts';
import { failure } from './reason.ts';
import type { TlsConnection } from './tlsclient.ts';

/**
 * Speaks TLS over an open connection. Destroying that one ends both; the caller does, whatever came of it.
 * @throws 'no TLS: certificate has expired'; with the signal's reason when that aborts
 */
export async function startTls(
  socket: Socket,
  options: TlsConnection & { readonly ALPNProtocols?: string[] },
  signal: AbortSignal,
): Promise<TLSSocket> {
  signal.throwIfAborted();
  const secure = connect({ ...options, socket });
  const handshake = new Promise<void>((resolve, reject) => {
    secure.on('error', reject);
    secure.once('close', () => reject(new Error('connection closed')));
    // A server that asks for our certificate refuses a missing or wrong one only after its own handshake is over
    // (TLS 1.3); its alert then arrives at the first read.
    secure.once('secureConnect', resolve);
  });
  try {
    await abortable(handshake, signal);
  } catch (error) {
    secure.destroy();
    signal.throwIfAborted();
    throw failure('no TLS', error);
  }
  return secure;
}
