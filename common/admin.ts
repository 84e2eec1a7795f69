import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Log, reasonOf } from './log.ts';
import { registry } from './metrics.ts';
import type { Schema } from './schema.ts';
import { listenUnix } from './unixsocket.ts';

/** The `admin` section of both daemons. */
export interface AdminConfig {
  /** `HOST:PORT`, or false. */
  readonly listen: string | false;
  readonly control_socket: string | null;
  readonly control_socket_mode: number;
}

/** The schema of the `admin` section; `listen` is each daemon's own default. */
export function adminSchema(listen: string): Schema<AdminConfig> {
  return {
    listen: {
      doc: 'where /healthz, /readyz, /metrics and /api/v1/state are served; false for nowhere',
      format: 'listen',
      default: listen,
    },
    control_socket: {
      doc: 'unix socket for commands that change something; none when not given',
      format: 'optional-non-empty-string',
      default: null,
    },
    control_socket_mode: { doc: 'permissions of the control socket', format: 'file-mode', default: 0o600 },
  };
}

/** Changes something. Gets the request's JSON body; what it returns is the answer. @throws {BadRequest} */
export type ControlRoute = (body: unknown) => Promise<unknown> | unknown;

/** A control request that makes no sense; the message goes to who asked. */
export class BadRequest extends Error {
  override readonly name = 'BadRequest';
}

/** The daemon's `admin` section, and what answers. */
export interface AdminOptions extends Pick<AdminConfig, 'listen'>, Partial<Omit<AdminConfig, 'listen'>> {
  /** Null when ready, otherwise why not. */
  readonly ready: () => string | null;
  /** What `status` prints; JSON, without secrets. */
  readonly state: () => unknown;
  /** By path, for POST; reachable over the control socket only. */
  readonly control?: Readonly<Record<string, ControlRoute>>;
}

export interface AdminServer {
  /** `host:port` really listened on; null when off. */
  readonly address: string | null;
  /** Resolves when everything is closed, after the signal aborted. */
  readonly closed: Promise<void>;
}

/** Control requests are a few names; more is a mistake. Bytes. */
const maxBody = 64 * 1024;

/**
 * Serves the daemon's HTTP, read-only over TCP, and the same with control routes over the unix socket, until `signal` aborts.
 * @throws naming the option when an address or socket cannot be used
 */
export async function serveAdmin(
  options: AdminOptions,
  deps: { readonly log: Log },
  signal: AbortSignal,
): Promise<AdminServer> {
  const { listen, control_socket: socket = null, control_socket_mode: mode = 0o600 } = options;
  const servers: Server[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map(closeServer));
  };
  let address: string | null = null;
  try {
    if (listen !== false) {
      const server = createAdminServer(options, {}, deps.log);
      servers.push(server);
      address = await listenTcp(server, listen);
    }
    if (socket !== null) {
      const server = createAdminServer(options, options.control ?? {}, deps.log);
      servers.push(server);
      await listenUnix(server, socket, mode).catch((error) => {
        throw new Error(`admin.control_socket: cannot listen on ${socket}`, { cause: error });
      });
    }
  } catch (error) {
    await close();
    throw error;
  }
  const closed = new Promise<void>((resolve) => {
    const onAbort = (): void => void close().then(resolve);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  return { address, closed };
}

function createAdminServer(options: AdminOptions, control: Readonly<Record<string, ControlRoute>>, log: Log): Server {
  // Bounded everywhere: a slow or greedy client costs one of a few connections, for a few seconds.
  const limits = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 5000, maxHeaderSize: 8192 };
  const server = createServer({ ...limits, connectionsCheckingInterval: 1000 }, (request, response) => {
    answer(request, response, options, control).catch((error) => {
      if (error instanceof BadRequest) return sendJson(response, 400, { error: error.message });
      log.warn('admin request failed', { path: request.url, reason: reasonOf(error) });
      sendJson(response, 500, { error: reasonOf(error) });
    });
  });
  server.maxConnections = 256;
  return server;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: AdminOptions,
  control: Readonly<Record<string, ControlRoute>>,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const route = Object.hasOwn(control, path) ? control[path] : undefined;
  const read = readRoutes[path as keyof typeof readRoutes];
  if (route === undefined && (read === undefined || !Object.hasOwn(readRoutes, path))) {
    return sendJson(response, 404, {
      error: `no ${path} here`,
      paths: [...Object.keys(readRoutes), ...Object.keys(control)],
    });
  }
  const allowed = route === undefined ? ['GET', 'HEAD'] : ['POST'];
  if (!allowed.includes(request.method ?? '')) {
    response.setHeader('Allow', allowed.join(', '));
    return sendJson(response, 405, { error: `${request.method} is not allowed on ${path}; ${allowed.join(', ')} is` });
  }
  if (route !== undefined) return sendJson(response, 200, (await route(await readBody(request))) ?? {});
  await read(response, options);
}

const readRoutes = {
  '/healthz': async (response: ServerResponse) => sendText(response, 200, 'ok\n'),
  '/readyz': async (response: ServerResponse, { ready }: AdminOptions) => {
    const reason = ready();
    if (reason === null) sendText(response, 200, 'ready\n');
    else sendText(response, 503, `${reason}\n`);
  },
  '/metrics': async (response: ServerResponse) => {
    sendText(response, 200, await registry.metrics(), registry.contentType);
  },
  '/api/v1/state': async (response: ServerResponse, { state }: AdminOptions) => sendJson(response, 200, state()),
};

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > maxBody) throw new BadRequest(`the body has more than ${maxBody} bytes`);
    chunks.push(chunk as Buffer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString() || '{}');
  } catch (error) {
    throw new BadRequest('the body is not JSON', { cause: error });
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendText(response, status, `${JSON.stringify(value)}\n`, 'application/json');
}

function sendText(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  // Node leaves the body out of the answer to HEAD.
  response.end(text);
}

function listenTcp(server: Server, listen: string): Promise<string> {
  const { host, port } = splitListen(listen);
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the address is in use; choose another, or false for none' : error.code;
      reject(new Error(`admin.listen: cannot listen on ${listen}: ${why}`, { cause: error }));
    });
    server.listen({ host, port }, () => {
      const { address, port: bound, family } = server.address() as AddressInfo;
      resolve(family === 'IPv6' ? `[${address}]:${bound}` : `${address}:${bound}`);
    });
  });
}

/** `HOST:PORT`, with or without brackets around an IPv6 address. */
export function splitListen(listen: string): { readonly host: string; readonly port: number } {
  const colon = listen.lastIndexOf(':');
  return { host: listen.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(listen.slice(colon + 1)) };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
