import { connect, createServer, type Socket } from 'node:net';
import { sleep } from '../../../common/async/sleep.ts';

/** A socket in front of HAProxy's. It records what clients send. */
export interface RecordingProxy {
  readonly path: string;
  /** All commands so far, in order. */
  readonly commands: readonly string[];
  /** Ends all connections at once, and new ones at once for `forMs`. */
  disconnect(forMs?: number): void;
  close(): Promise<void>;
}

/** What a {@link RecordingProxy} does wrong. */
export interface ProxyFaults {
  /** Called with each line before it is passed on. */
  readonly onCommand?: (command: string) => void;
  /** Replies are passed on in pieces of this many bytes, one each millisecond. */
  readonly trickle?: number;
}

/** Listens at `path` and passes everything on to `target`. */
export async function recordingProxy(path: string, target: string, faults: ProxyFaults = {}): Promise<RecordingProxy> {
  const commands: string[] = [];
  const clients = new Set<Socket>();
  let refusedUntil = 0;
  const server = createServer((client) => {
    if (performance.now() < refusedUntil) {
      client.destroy();
      return;
    }
    clients.add(client);
    const upstream = connect({ path: target });
    let rest = '';
    client.setEncoding('utf8');
    client.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      commands.push(...lines);
      for (const line of lines) faults.onCommand?.(line);
      upstream.write(chunk);
    });
    if (faults.trickle === undefined) upstream.pipe(client);
    else void trickle(upstream, client, faults.trickle);
    client.on('close', () => {
      clients.delete(client);
      upstream.destroy();
    });
    upstream.on('close', () => client.destroy());
    client.on('error', () => {});
    upstream.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const disconnect = (forMs = 0): void => {
    refusedUntil = performance.now() + forMs;
    for (const client of clients) client.destroy();
  };
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    disconnect();
    await closed;
  };
  return { path, commands, disconnect, close };
}

async function trickle(from: Socket, to: Socket, size: number): Promise<void> {
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += size) {
        to.write(chunk.subarray(at, at + size));
        await sleep(1);
      }
    }
  } catch {
    // One end has closed the connection: the other end is closed below.
  }
  to.destroy();
}
