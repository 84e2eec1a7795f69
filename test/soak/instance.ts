import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { freePort } from '../../etcd-cluster/members/ports.ts';

/** One copy of a service on loopback, in this process. It answers with its own name. */
export class SoakInstance {
  readonly service: string;
  readonly name: string;
  /** The key of its announcement. */
  readonly key: string;
  readonly port: number;
  /** False: its health check answers 503, and everything else works. */
  healthy = true;
  #server: Server | undefined;

  private constructor(service: string, nerve: string, port: number) {
    this.service = service;
    this.port = port;
    this.name = `${nerve}_127.0.0.1:${port}`;
    this.key = `/nerve/services/${service}/${this.name}`;
  }

  /** Starts an instance that the nerve `nerve` checks and announces. */
  static async start(service: string, nerve: string): Promise<SoakInstance> {
    const instance = new SoakInstance(service, nerve, await freePort());
    await instance.listen();
    return instance;
  }

  /** Accepts connections, also again after {@link SoakInstance.close}. */
  async listen(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((request, response) => {
      const isSick = request.url === '/health' && !this.healthy;
      response.writeHead(isSick ? 503 : 200, { 'x-service': this.service }).end(this.name);
    });
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
  }

  /** Refuses new connections; requests that are under way are answered. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server.closeIdleConnections();
    const late = setTimeout(() => server.closeAllConnections(), 2_000);
    await closed;
    clearTimeout(late);
  }
}
