import { lstat, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, isIP } from 'node:net';
import { hostname } from 'node:os';
import { type Log, reasonOf } from '../daemon/log.ts';
import { globPattern } from '../glob.ts';
import { type AdminConfig, splitListen } from './options.ts';
import { type AdminAnswers, answer, BadRequest, type ControlRoute, sendJson } from './routes.ts';

export { type AdminAnswers, BadRequest, type ControlRoute, type ReadRoute } from './routes.ts';

/** The daemon's `admin` section, and what answers. */
export interface AdminOptions extends AdminAnswers, Pick<AdminConfig, 'listen'>, Partial<Omit<AdminConfig, 'listen'>> {
  /** A socket that nobody asked for by name: when it cannot be had, that is worth a warning and no more. */
  readonly socketOptional?: boolean;
}

export interface AdminServer {
  /** `host:port` really listened on; null when off. */
  readonly address: string | null;
  /** Resolves when everything is closed, after the signal aborted. */
  readonly closed: Promise<void>;
}

/**
 * Serves the daemon's HTTP, read-only over TCP, and the same with control routes over the unix socket, until `signal` aborts.
 * @throws naming the option when an address or socket cannot be used
 */
export async function serveAdmin(
  options: AdminOptions,
  deps: { readonly log: Log },
  signal: AbortSignal,
): Promise<AdminServer> {
  const {
    listen,
    hosts = [],
    control_socket: socket = null,
    control_socket_mode: mode = 0o600,
    socketOptional,
  } = options;
  const servers: Server[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map(closeServer));
  };
  let address: string | null = null;
  try {
    if (listen !== false) {
      const names = [...hosts, hostname(), splitListen(listen).host];
      const server = createAdminServer({ ...options, names }, {}, deps.log);
      servers.push(server);
      address = await listenTcp(server, listen);
    }
    if (socket !== null && socket !== false) {
      const server = createAdminServer(options, options.control ?? {}, deps.log);
      servers.push(server);
      await listenUnix(server, socket, mode).catch((error) => {
        if (!socketOptional) throw new Error(`admin.control_socket: cannot listen on ${socket}`, { cause: error });
        deps.log.warn('no control socket: set admin.control_socket', { path: socket, reason: reasonOf(error) });
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

/** `names`: those that a request may ask for; undefined where nobody but this host's users can ask. */
function createAdminServer(
  options: AdminAnswers & { readonly names?: readonly string[] },
  control: Readonly<Record<string, ControlRoute>>,
  log: Log,
): Server {
  // Bounded everywhere: a slow or greedy client costs one of a few connections, for a few seconds.
  const limits = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 5000, maxHeaderSize: 8192 };
  const server = createServer({ ...limits, connectionsCheckingInterval: 1000 }, (request, response) => {
    const { host } = request.headers;
    if (options.names !== undefined && !isOurHost(host, options.names)) {
      const error = `this is not ${JSON.stringify(host)}: ask by an IP address or localhost, or name it in admin.hosts`;
      return sendJson(response, 421, { error });
    }
    answer(request, response, options, control).catch((error) => {
      if (error instanceof BadRequest) return sendJson(response, 400, { error: error.message });
      log.warn('admin request failed', { path: request.url, reason: reasonOf(error) });
      sendJson(response, 500, { error: reasonOf(error) });
    });
  });
  server.maxConnections = 256;
  // Running out of file descriptors must not end the daemon.
  server.on('error', (error) => log.warn('admin server error', { reason: reasonOf(error) }));
  return server;
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

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/**
 * Whether a request may name this host. A web page of anybody can have its own name resolve to our address and so read what
 * we answer (DNS rebinding); it cannot have a browser send an address, `localhost`, or a name that is ours. Requests
 * without a name come from no browser.
 */
export function isOurHost(header: string | undefined, names: readonly string[]): boolean {
  if (header === undefined) return true;
  const host = header.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  if (isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0) return true;
  return ['localhost', ...names].some((name) => globPattern(name.toLowerCase()).test(host));
}

/**
 * Listens on a unix socket with these permissions from its first moment. A socket file that a crash left behind is
 * removed, but only when nobody answers on it.
 * @throws when another process answers there, the path is no socket, or the folder is missing or not writable
 */
export async function listenUnix(server: Server, path: string, mode: number): Promise<void> {
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // bind() happens inside the call: with this umask nobody else can connect, not even for an instant.
    const umask = process.umask(0o777 & ~mode);
    try {
      server.listen({ path }, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

async function removeStale(path: string): Promise<void> {
  let isSocket: boolean;
  try {
    isSocket = (await lstat(path)).isSocket();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (!isSocket) throw new Error(`${path} exists and is not a socket`);
  if (await answers(path)) throw new Error(`another process answers on ${path}`);
  await rm(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    // A process too busy to accept is alive all the same.
    socket.setTimeout(1000, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
}
