import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { TestContext } from 'node:test';

/** An instance whose answers to `/slow` end when the test says so. */
export interface SlowInstance {
  readonly port: number;
  /** Ends these answers. */
  finish(): void;
}

/** Starts an instance. It begins each answer at once, and ends others than those to `/slow` too. */
export async function slowInstance(t: TestContext): Promise<SlowInstance> {
  const open: (() => void)[] = [];
  const server = createServer((request, response) => {
    if (request.url === '/slow') {
      response.write('begun');
      open.push(() => response.end('over'));
    } else response.end('quick');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    port: (server.address() as AddressInfo).port,
    finish() {
      for (const end of open.splice(0)) end();
    },
  };
}

/** Begins a request that lasts, and waits for the first part of its answer. */
export async function beginRequest(t: TestContext, port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write('GET /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
}
