import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Asks one HAProxy, over a connection of its own, whether a server takes traffic. */
export interface Observer {
  /** Resolves once the server with this id is in rotation; polls as fast as HAProxy answers. */
  inRotation(server: { readonly backend: string; readonly id: number; readonly name: string }): Promise<void>;
  close(): void;
}

/** Columns of `show stat` (management guide, section 9.1). */
const nameColumn = 1;
const statusColumn = 17;

/** Opens the connection. `show stat` of one server is cheap however many the backend has. */
export async function observe(socketPath: string): Promise<Observer> {
  const socket = connect(socketPath);
  await once(socket, 'connect');
  const ask = prompt(socket);
  await ask('prompt');
  await ask('set timeout cli 1h');
  return {
    async inRotation({ backend, id, name }) {
      const deadline = performance.now() + 20_000;
      while (performance.now() < deadline) {
        const row = (await ask(`show stat ${backend} 4 ${id}`))
          .split('\n')
          .find((line) => line.startsWith(`${backend},`));
        const columns = row?.split(',') ?? [];
        const status = columns[statusColumn] ?? '';
        if (columns[nameColumn] === name && (status === 'no check' || status.startsWith('UP'))) return;
      }
      throw new Error(`${backend}/${name} (id ${id}) did not come into rotation within 20 s`);
    },
    close: () => socket.destroy(),
  };
}

/** One command at a time; in prompt mode each reply ends with "\n> ". */
function prompt(socket: Socket): (command: string) => Promise<string> {
  let received = '';
  let waiting: ((reply: string) => void) | undefined;
  socket.on('data', (chunk) => {
    received += chunk.toString();
    if (!received.endsWith('\n> ')) return;
    const reply = received;
    received = '';
    waiting?.(reply);
  });
  return (command) =>
    new Promise((resolve) => {
      waiting = resolve;
      socket.write(`${command}\n`);
    });
}
