import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { abortable } from '../async/abort.ts';
import { failure } from '../reason.ts';
import { sharedLookup } from './lookup.ts';
import type { TlsConnection } from './tls-client.ts';

/** Where to connect to: an address of the network, or a unix socket. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string };

/** The text of an address: `10.0.0.5:80`, `[::1]:80`, `/run/db.sock`. */
export function formatAddress(address: Address): string {
  if ('path' in address) return address.path;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/**
 * Opens a connection. The caller destroys it; it is also destroyed when `signal` aborts, then and later.
 * @throws 'cannot connect to 10.0.0.5:80: connection refused'; with the signal's reason when that aborts
 */
export async function openSocket(address: Address, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connect({ ...address, signal, lookup: sharedLookup });
  socket.setNoDelay(true);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', resolve);
      // A socket can be destroyed while it connects without an error.
      socket.once('close', () => reject(new Error('connection closed')));
    });
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw failure(`cannot connect to ${formatAddress(address)}`, error);
  }
  // The kernel may connect a socket to itself when no process listens on a port of the ephemeral range.
  const { localPort, remotePort, localAddress, remoteAddress } = socket;
  if (localPort !== undefined && localPort === remotePort && localAddress === remoteAddress) {
    socket.destroy();
    throw new Error(`cannot connect to ${formatAddress(address)}: nothing listens`);
  }
  return socket;
}

/**
 * Speaks TLS over an open connection. The caller destroys the connection in any case, which ends both.
 * @throws 'no TLS: certificate has expired'; with the signal's reason when that aborts
 */
export async function startTls(
  socket: Socket,
  options: TlsConnection & { readonly ALPNProtocols?: string[] },
  signal: AbortSignal,
): Promise<TLSSocket> {
  signal.throwIfAborted();
  const secure = connectTls({ ...options, socket });
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
