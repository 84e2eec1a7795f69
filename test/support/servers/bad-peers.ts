import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { sleep } from '../../../common/async/sleep.ts';

/** Servers that misbehave in the ways that a client must expect of the network. */
export const peers: Readonly<Record<string, (socket: Socket) => void>> = {
  'a mute peer': () => {},
  'a slow peer': (socket) => void drip(socket),
  'a resetting peer': reset,
  'a peer that resets after a word': (socket) => {
    socket.once('data', () => reset(socket));
    // Some protocols have the server speak first.
    setTimeout(() => reset(socket), 5);
  },
  'a peer that hangs up': (socket) => void socket.end(),
  'a peer that talks nonsense': (socket) => {
    socket.write(Buffer.from(Array.from({ length: 2000 }, (_, i) => (i * 7919 + 13) % 256)));
    setTimeout(() => socket.end(), 5);
  },
};

/** Unix sockets know no reset. */
function reset(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

async function drip(socket: Socket): Promise<void> {
  while (!socket.destroyed && socket.writable) {
    socket.write('H');
    await sleep(5);
  }
}

/** A server whose behaviour a test decides. */
export interface Peer {
  readonly port: number;
  /** Connections that are open. */
  readonly open: number;
  /** Connections there have ever been. */
  readonly accepted: number;
  close(): Promise<void>;
}

/** Listens on a free port of loopback, or on a unix socket, and treats each connection as `behave` says. */
export async function startPeer(behave: (socket: Socket) => void, path?: string): Promise<Peer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    sockets.add(socket);
    accepted += 1;
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.resume();
    behave(socket);
  });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get open() {
      return sockets.size;
    },
    get accepted() {
      return accepted;
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
