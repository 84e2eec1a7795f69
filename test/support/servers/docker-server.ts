import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A container that the engine lists. */
export interface FakeContainer {
  readonly name: string;
  readonly image?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** As `docker run -p`: `80` is exposed only, `8080:80` on all addresses, `10.0.0.1:8080:80` on one. */
  readonly ports?: readonly string[];
  readonly networks?: Readonly<Record<string, string>>;
  readonly state?: string;
}

/** A container engine whose containers a test sets. */
export interface DockerServer {
  /** `unix://…`, `http://…` or `https://…`, as it was asked for. */
  readonly url: string;
  /** The paths asked for so far, without their filters. */
  readonly calls: readonly string[];
  /** In force until replaced; tells those who listen for events. */
  set(containers: readonly FakeContainer[], options?: { readonly silent?: boolean }): void;
  /** What lists are answered with instead: a status, a text, or nothing at all. */
  fault: number | string | 'hang' | undefined;
  /** Ends all streams of events. */
  cut(): void;
  close(): Promise<void>;
}

/** Speaks the Docker Engine API: `GET /containers/json` with filters, and the stream `GET /events`. */
export async function startDockerServer(socketPath?: string, tls?: ServerOptions): Promise<DockerServer> {
  const calls: string[] = [];
  const streams = new Set<ServerResponse>();
  let containers: readonly FakeContainer[] = [];
  const listener: RequestListener = (request, response) => {
    const url = new URL(request.url ?? '/', 'http://docker');
    calls.push(url.pathname);
    const filters = JSON.parse(url.searchParams.get('filters') ?? '{}') as Record<string, string[]>;
    if (url.pathname === '/events') {
      streams.add(response);
      response.on('close', () => streams.delete(response));
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    } else if (url.pathname !== '/containers/json') {
      response.writeHead(404).end('{"message":"page not found"}');
    } else if (typeof self.fault === 'number') {
      response.writeHead(self.fault).end('{"message":"fault"}');
    } else if (self.fault === undefined) {
      const found = containers.filter((container) => passes(container, filters));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(found.map(toJson)));
    } else if (self.fault !== 'hang') {
      response.writeHead(200, { 'content-type': 'application/json' }).end(self.fault);
    }
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => {
    if (socketPath === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(socketPath, resolve);
  });
  const port = (server.address() as AddressInfo).port;
  const self: DockerServer = {
    url: socketPath === undefined ? `http${tls === undefined ? '' : 's'}://127.0.0.1:${port}` : `unix://${socketPath}`,
    calls,
    fault: undefined,
    set(next, { silent = false } = {}) {
      containers = next;
      if (silent) return;
      for (const stream of streams) stream.write(`${JSON.stringify({ Type: 'container', Action: 'start' })}\n`);
    },
    cut() {
      for (const stream of streams) stream.destroy();
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return self;
}

function passes({ state = 'running', labels = {} }: FakeContainer, filters: Record<string, string[]>): boolean {
  const { status, label = [] } = filters;
  if (status !== undefined && !status.includes(state)) return false;
  return label.every((wanted) => {
    const [key = '', value] = wanted.split('=', 2);
    return Object.hasOwn(labels, key) && (value === undefined || labels[key] === value);
  });
}

function toJson({ name, image = 'app:1', labels = {}, ports = [], networks = {}, state = 'running' }: FakeContainer) {
  const Ports = ports.flatMap((text) => {
    const [inside = '', outside, address] = text.split(':').reverse();
    const PrivatePort = Number(inside);
    if (outside === undefined) return [{ PrivatePort, Type: 'tcp' }];
    const PublicPort = Number(outside);
    const addresses = address === undefined ? ['0.0.0.0', '::'] : [address];
    return addresses.map((IP) => ({ IP, PrivatePort, PublicPort, Type: 'tcp' }));
  });
  const Networks = Object.fromEntries(Object.entries(networks).map(([key, IPAddress]) => [key, { IPAddress }]));
  return {
    Id: Buffer.from(name.padEnd(32)).toString('hex'),
    Names: [`/${name}`],
    Image: image,
    ImageID: 'sha256:0',
    Command: 'run',
    Created: 1_700_000_000,
    Ports,
    Labels: labels,
    State: state,
    Status: 'Up 2 minutes',
    NetworkSettings: { Networks },
  };
}
