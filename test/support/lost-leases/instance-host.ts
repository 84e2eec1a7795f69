import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { sleep } from '../../../common/async/sleep.ts';

/** A host with instances of one service: each answers with the name of its service and of its host. */
export interface InstanceHost {
  readonly name: string;
  /** An IPv4 address that no other host has. */
  readonly address: string;
  /** One instance listens on each. */
  readonly ports: readonly number[];
  /** The instances answer the requests that they have, and stop: their ports refuse connections. */
  refuse(): Promise<void>;
  /** Instances of this service listen on the same ports. */
  serve(service: string): Promise<void>;
  /** The instances answer every request with an error from now on. */
  sicken(): Promise<void>;
  /** The host dies. */
  die(): Promise<void>;
  /** Leaves nothing behind. */
  close(): Promise<void>;
}

/** How a host is made. */
export interface InstanceHostOptions {
  readonly name: string;
  readonly address: string;
  readonly ports: readonly number[];
}

/** A host that is an address of this machine, such as 127.1.0.3. Its death can be told from afar: connections are refused. */
export class LocalHost implements InstanceHost {
  readonly name: string;
  readonly address: string;
  readonly ports: readonly number[];
  #servers: readonly Server[] = [];
  #isSick = false;

  /** Use {@link startLocalHost}. */
  constructor({ name, address, ports }: InstanceHostOptions) {
    this.name = name;
    this.address = address;
    this.ports = ports;
  }

  async refuse(): Promise<void> {
    await this.#close((server) => server.closeIdleConnections());
  }

  async serve(service: string): Promise<void> {
    const body = `${service} ${this.name}`;
    this.#servers = this.ports.map(() =>
      createServer((_, response) => response.writeHead(this.#isSick ? 500 : 200).end(body)),
    );
    for (const [index, server] of this.#servers.entries()) {
      // HAProxy keeps idle connections for 5 s, as Node does: a request on one that is just being closed would fail.
      server.keepAliveTimeout = 60_000;
      server.listen(this.ports[index], this.address);
      await once(server, 'listening');
    }
  }

  async sicken(): Promise<void> {
    this.#isSick = true;
  }

  async die(): Promise<void> {
    await this.#close((server) => server.closeAllConnections());
  }

  async close(): Promise<void> {
    await this.die();
  }

  async #close(end: (server: Server) => void): Promise<void> {
    const servers = this.#servers;
    this.#servers = [];
    await Promise.all(servers.map((server) => closed(server, end)));
  }
}

/** Starts a host of this machine whose instances are healthy. */
export async function startLocalHost(service: string, options: InstanceHostOptions): Promise<InstanceHost> {
  const host = new LocalHost(options);
  await host.serve(service);
  return host;
}

/** Stops to listen, and ends connections until none is left. */
async function closed(server: Server, end: (server: Server) => void): Promise<void> {
  const closing = new AbortController();
  server.close(() => closing.abort());
  while (!closing.signal.aborted) {
    end(server);
    await sleep(20, closing.signal);
  }
}
