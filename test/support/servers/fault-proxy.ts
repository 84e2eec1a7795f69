import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** A TCP connection through the proxy. */
export interface ProxyConnection {
  /** Closes both ends at once. */
  cut(): void;
}

/** Sits between a client and a server and does to their connections what networks do. */
export interface FaultProxy {
  readonly port: number;
  /** Connections open now. */
  readonly connections: ReadonlySet<ProxyConnection>;
  /** Closes all connections at once; new ones work. */
  cut(): void;
  /** Closes all connections and refuses new ones, until {@link heal}. */
  refuse(): Promise<void>;
  /** Keeps all connections open, accepts new ones, and passes nothing, until {@link heal}. */
  blackhole(): void;
  /** Holds everything back for this many milliseconds. */
  delay(milliseconds: number): void;
  /** Ends refuse, blackhole and delay. What a blackhole kept arrives late, as after a lost route. */
  heal(): Promise<void>;
  /** Sees what the server sends before it is passed on. */
  onServerData: ((chunk: Buffer, connection: ProxyConnection) => void) | undefined;
  close(): Promise<void>;
}

interface Pair extends ProxyConnection {
  readonly client: Socket;
  readonly server: Socket;
}

/** Starts a proxy on a free port of loopback to `target`, a port of loopback. */
export async function startFaultProxy(target: number): Promise<FaultProxy> {
  const pairs = new Set<Pair>();
  let holding = false;
  let lag = 0;
  let listener: Server | undefined;

  const accept = (client: Socket): void => {
    const server = createConnection({ host: '127.0.0.1', port: target });
    const cut = (): void => {
      pairs.delete(pair);
      // Not resetAndDestroy: Node 20 then sometimes never gets through its own exit (it waits for the reset handle).
      client.destroy();
      server.destroy();
    };
    const pair: Pair = { client, server, cut };
    pairs.add(pair);
    const pass = (from: Socket, to: Socket): void => {
      const late: { readonly due: number; readonly send: () => void }[] = [];
      // In order, whatever the delay was or is: this is TCP.
      const drain = (): void => {
        for (let head = late[0]; head !== undefined; head = late[0]) {
          const wait = head.due - performance.now();
          if (wait > 0) {
            setTimeout(drain, wait);
            return;
          }
          late.shift();
          head.send();
        }
      };
      const deliver = (send: () => void): void => {
        late.push({ due: performance.now() + lag, send });
        if (late.length === 1) drain();
      };
      from.setNoDelay();
      from.on('data', (chunk: Buffer) => {
        if (from === server) proxy.onServerData?.(chunk, pair);
        deliver(() => to.write(chunk));
      });
      from.on('end', () => deliver(() => to.end()));
      from.on('error', cut);
      from.on('close', () => {
        pairs.delete(pair);
        to.destroy();
      });
      if (holding) from.pause();
    };
    pass(client, server);
    pass(server, client);
  };

  const listen = (port: number): Promise<Server> =>
    new Promise((resolve, reject) => {
      const server = createServer(accept);
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve(server));
    });

  const unlisten = async (): Promise<void> => {
    const server = listener;
    listener = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    proxy.cut();
    await closed;
  };

  listener = await listen(0);
  const { port } = listener.address() as { port: number };
  const proxy: FaultProxy = {
    port,
    connections: pairs,
    cut() {
      for (const pair of [...pairs]) pair.cut();
    },
    refuse: unlisten,
    blackhole() {
      holding = true;
      for (const { client, server } of pairs) {
        client.pause();
        server.pause();
      }
    },
    delay(milliseconds) {
      lag = milliseconds;
    },
    async heal() {
      lag = 0;
      holding = false;
      for (const { client, server } of pairs) {
        client.resume();
        server.resume();
      }
      listener ??= await listen(port);
    },
    onServerData: undefined,
    close: unlisten,
  };
  return proxy;
}
