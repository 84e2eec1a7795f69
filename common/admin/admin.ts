import { lstat, rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, isIP } from 'node:net';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { aborted } from '../async/abort.ts';
import { unreadable } from '../config/problem.ts';
import { type Log, reasonOf } from '../daemon/log.ts';
import { ifThere } from '../file.ts';
import { globPattern } from '../glob.ts';
import { type AdminConfig, splitListen } from './options.ts';
import { type AdminAnswers, answer, BadRequest, type ControlRoute, sendJson } from './routes.ts';

export { type AdminAnswers, BadRequest, type ControlRoute, type ReadRoute } from './routes.ts';

/** The daemon's `admin` section, and the routes that it serves. */
export interface AdminOptions extends AdminAnswers, Pick<AdminConfig, 'listen'>, Partial<Omit<AdminConfig, 'listen'>> {
  /** The socket's path is a default, not configured: a socket that cannot be opened is only a warning. */
  readonly socketOptional?: boolean;
}

/** The server of a daemon's `admin` section. */
export interface AdminServer {
  /** The `host:port` that it listens on; null when off. */
  readonly address: string | null;
  /** Resolves after the signal has aborted and everything is closed. */
  readonly closed: Promise<void>;
}

/**
 * Serves HTTP until `signal` aborts: read-only over TCP, and with control routes over the unix socket.
 * @throws naming the option when its address or socket cannot be used
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
      address = await listenTcp(server, listen, deps.log);
    }
    if (socket !== null && socket !== false) {
      const server = createAdminServer(options, options.control ?? {}, deps.log);
      servers.push(server);
      await listenUnix(server, socket, mode).catch((error) => {
        if (!socketOptional) throw new Error(`admin.control_socket: cannot listen on ${socket}`, { cause: error });
        deps.log.warn('no control socket: set admin.control_socket', { path: socket, reason: reasonOf(error) });
      });
      logErrors(server, deps.log);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { address, closed: aborted(signal).then(close) };
}

/** `names`: the host names that a request may ask for; undefined for the unix socket, which only this host's users reach. */
function createAdminServer(
  options: AdminAnswers & { readonly names?: readonly string[] },
  control: Readonly<Record<string, ControlRoute>>,
  log: Log,
): Server {
  // Bounded everywhere: a slow or greedy client costs one of a few connections, for a few seconds.
  const limits = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 5000, maxHeaderSize: 8192 };
  const server = createServer({ ...limits, connectionsCheckingInterval: 1000 }, (request, response) => {
    if (hostHeaders(request) > 1)
      return sendJson(response, 400, { error: 'the request has more than one Host header' });
    const { host } = request.headers;
    if (options.names !== undefined && !isOurHost(host, options.names)) {
      const error = `this is not ${JSON.stringify(host)}: use an IP address or localhost, or add the name to admin.hosts`;
      return sendJson(response, 421, { error });
    }
    answer(request, response, options, control).catch((error) => {
      if (error instanceof BadRequest) return sendJson(response, 400, { error: error.message });
      log.warn('admin request failed', { path: request.url, reason: reasonOf(error) });
      sendJson(response, 500, { error: reasonOf(error) });
    });
  });
  server.maxConnections = 256;
  return server;
}

/** Node.js takes the first of several Host headers; a proxy in front of it may have judged another one (RFC 9112, 3.2). */
function hostHeaders({ rawHeaders }: IncomingMessage): number {
  return rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
}

/** Why an address cannot be listened on, by Node's code of the error. */
const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use; choose another one, or false for none',
  EADDRNOTAVAIL: 'this host has no such address',
  ENOTFOUND: 'there is no address for this name',
  EAI_AGAIN: 'there is no address for this name now',
  EACCES: 'this user may not listen there; choose a port from 1024 on',
};

/** Running out of file descriptors must not end the daemon. Before a server listens, its errors are thrown. */
function logErrors(server: Server, log: Log): void {
  server.on('error', (error) => log.warn('admin server error', { reason: reasonOf(error) }));
}

function listenTcp(server: Server, listen: string, log: Log): Promise<string> {
  const { host, port } = splitListen(listen);
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = reasons[error.code ?? ''] ?? error.code;
      reject(new Error(`admin.listen: cannot listen on ${listen}: ${why}`, { cause: error }));
    });
    server.listen({ host, port }, () => {
      logErrors(server, log);
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
 * Whether the Host header of a request names this host. Any web page can let its own name resolve to our address and then
 * read our answers (DNS rebinding); but it cannot make a browser send an address, `localhost` or one of our names. A
 * request without the header is not from a browser.
 */
export function isOurHost(header: string | undefined, names: readonly string[]): boolean {
  if (header === undefined) return true;
  const host = header.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  if (isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0) return true;
  return ['localhost', ...names].some((name) => globPattern(name.toLowerCase()).test(host));
}

/**
 * Listens on a unix socket that has these permissions from its first moment. Removes a socket file that a crash left
 * behind, but only when no process answers on it.
 * @throws when another process answers there, the path is no socket, or the folder is missing or not writable
 */
export async function listenUnix(server: Server, path: string, mode: number): Promise<void> {
  // Node.js calls a missing folder a denied permission.
  await stat(dirname(path)).catch((error) => {
    throw new Error(`the folder ${dirname(path)} ${unreadable(error)}`);
  });
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // bind() happens inside the call: with this umask no other user can connect, not even for an instant.
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
  const found = await ifThere(lstat(path));
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${path} exists and is not a socket`);
  if (await isAnswered(path)) throw new Error(`another process answers on ${path}`);
  await rm(path, { force: true });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    // A process that is too busy to accept is alive too.
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
