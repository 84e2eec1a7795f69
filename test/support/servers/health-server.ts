import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A service on loopback whose health a test turns: `/health` answers 200 or 503. */
export interface HealthServer {
  readonly port: number;
  healthy: boolean;
  /** How often it was asked. */
  readonly probes: number;
  close(): Promise<void>;
}

/** Starts a service whose health a test sets. */
export async function startHealthServer(healthy = true): Promise<HealthServer> {
  let probes = 0;
  const server = createServer((_, response) => {
    probes += 1;
    response.writeHead(self.healthy ? 200 : 503).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const self = {
    port: (server.address() as AddressInfo).port,
    healthy,
    get probes() {
      return probes;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return self;
}
