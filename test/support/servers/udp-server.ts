import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** A UDP server that keeps what it gets. */
export interface UdpServer {
  readonly port: number;
  /** All lines so far. */
  readonly lines: readonly string[];
  /** The largest packet so far, bytes. */
  readonly largest: number;
  close(): Promise<void>;
}

/** Listens on a free port, or on this one. */
export async function udpServer({ port = 0, host = '127.0.0.1' } = {}): Promise<UdpServer> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const lines: string[] = [];
  let largest = 0;
  socket.on('message', (packet) => {
    largest = Math.max(largest, packet.length);
    lines.push(...packet.toString().split('\n'));
  });
  socket.bind(port, host);
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    lines,
    get largest() {
      return largest;
    },
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
}
