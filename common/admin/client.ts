import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { withTimeout } from '../async/timeout.ts';
import { thisHost } from '../host.ts';
import { requireTrusted } from '../trust.ts';
import { type AdminConfig, splitListen } from './options.ts';

/** Where the running daemon listens. */
export type AdminTarget = Pick<AdminConfig, 'listen' | 'control_socket'>;

/** How a running daemon is asked. */
export interface AskOptions {
  /** The daemon's name, for messages. */
  readonly program: string;
  /** Default 5 s. */
  readonly timeoutMs?: number;
}

/** Nothing answers where the daemon should listen: it is down, or hangs. */
export class NotRunning extends Error {
  override readonly name = 'NotRunning';
}

/** A larger answer is not from the daemon. */
const maxAnswerBytes = 256 * 1024 * 1024;

/**
 * Reads `/api/v1/state` of the running daemon, over HTTP or, when that is off, over its control socket.
 * @throws {NotRunning} naming the address, when the daemon is not running or does not answer in time
 */
export function readState(target: AdminTarget, options: AskOptions): Promise<unknown> {
  return readPath(target, '/api/v1/state', options);
}

/** Reads another path that answers JSON. @throws as {@link readState} does */
export function readPath(target: AdminTarget, path: string, options: AskOptions): Promise<unknown> {
  return ask(readable(target), { ...options, method: 'GET', path });
}

/**
 * Follows a stream of server-sent events that carry JSON: yields the data of each one until `signal` aborts. Skips events
 * with a name, such as `hello`.
 * @throws naming the address, when the daemon is not running, refuses, ends, or is silent for too long
 */
export async function* followStream(
  target: AdminTarget,
  path: string,
  options: AskOptions,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  const { program, timeoutMs = maxSilenceMs } = options;
  const { where, to } = address(readable(target), program);
  let begun = false;
  let lost = 'has ended, or closed this connection';
  await checkSocket(to, program);
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request({ ...to, path, agent: false, signal, timeout: timeoutMs }, resolve);
      outgoing.on('timeout', () => {
        lost = `was silent for ${timeoutMs} ms`;
        outgoing.destroy(new Error(lost));
      });
      outgoing.on('error', reject);
      outgoing.end();
    });
    if (response.statusCode !== 200) throw new Error(`HTTP status ${response.statusCode}`);
    begun = true;
    response.setEncoding('utf8');
    let text = '';
    for await (const chunk of response) {
      const blocks = (text + chunk).split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data !== undefined && !/^event: /m.test(block)) yield JSON.parse(data);
      }
    }
  } catch (error) {
    if (!begun && !signal.aborted) throw explain(error as Error, { program, where, timeoutMs });
  }
  if (!signal.aborted) throw new Error(`${program} at ${where} ${lost}`);
}

/** A stream sends a heartbeat every 15 s. */
const maxSilenceMs = 45_000;

/** Leaves out an address with port 0: the port that the system chose is not in the configuration. */
function readable(target: AdminTarget): AdminTarget {
  const reachable = target.listen !== false && splitListen(target.listen).port !== 0;
  return reachable ? target : { ...target, listen: false };
}

/**
 * Asks the running daemon to change something, over its control socket.
 * @throws with the daemon's own reason when it refuses
 */
export function control(target: AdminTarget, path: string, body: unknown, options: AskOptions): Promise<unknown> {
  if (!target.control_socket) {
    return Promise.reject(new Error(`${options.program} has no control socket; set admin.control_socket to a path`));
  }
  return ask({ ...target, listen: false }, { ...options, method: 'POST', path, body });
}

/** The daemon is of an earlier version: it has no such route. */
export class UnknownRoute extends Error {
  override readonly name = 'UnknownRoute';
}

/**
 * Asks the running daemon over its control socket for something that takes a while, and yields each line of its answer.
 * @throws {UnknownRoute} when it has no such route; with the daemon's own reason when it refuses; when it ends meanwhile, or is
 *   silent for longer than `timeoutMs`
 */
export async function* followControl(
  target: AdminTarget,
  path: string,
  body: unknown,
  options: AskOptions,
): AsyncGenerator<unknown> {
  const { program, timeoutMs = maxSilenceMs } = options;
  if (!target.control_socket) throw new Error(`${program} has no control socket; set admin.control_socket to a path`);
  const { where, to } = address({ ...target, listen: false }, program);
  await checkSocket(to, program);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request({ ...to, path, method: 'POST', agent: false, timeout: timeoutMs }, resolve);
    outgoing.on('timeout', () => outgoing.destroy(new DOMException('silent', 'TimeoutError')));
    outgoing.on('error', (error) => reject(explain(error, { program, where, timeoutMs })));
    outgoing.end(JSON.stringify(body));
  });
  response.setEncoding('utf8');
  let text = '';
  try {
    for await (const chunk of response) {
      const lines = (text + chunk).split('\n');
      text = lines.pop() ?? '';
      if (response.statusCode === 200) for (const line of lines) yield JSON.parse(line);
      else text = lines.join('') + text;
    }
  } catch (error) {
    throw new Error(`${program} at ${where} has ended, or closed this connection`, { cause: error });
  } finally {
    response.destroy();
  }
  if (response.statusCode === 404) throw new UnknownRoute(`${program} at ${where} has no ${path}`);
  if (response.statusCode !== 200) throw new Error(`${program} at ${where} refuses: ${errorIn(text, response)}`);
}

function errorIn(text: string, { statusCode }: IncomingMessage): string {
  try {
    return (JSON.parse(text) as { readonly error?: string }).error ?? `HTTP status ${statusCode}`;
  } catch {
    return `HTTP status ${statusCode}`;
  }
}

async function ask(
  target: AdminTarget,
  options: AskOptions & { readonly method: string; readonly path: string; readonly body?: unknown },
): Promise<unknown> {
  const { program, timeoutMs = 5000, method, path, body } = options;
  const { where, to } = address(target, program);
  await checkSocket(to, program);
  let reply: Reply;
  try {
    const exchange = (signal: AbortSignal) => send({ ...to, method, path }, body, signal);
    reply = await withTimeout(exchange, { timeoutMs, what: where }, new AbortController().signal);
  } catch (error) {
    const explained = explain(error as Error, { program, where, timeoutMs });
    // The daemon has the request; it may hang for as long as the command waits.
    if (method === 'POST' && isTimeout(error as Error)) explained.message += '; it may still do it';
    throw explained;
  }
  let answer: { readonly error?: string } | null;
  try {
    answer = JSON.parse(reply.text);
  } catch (error) {
    throw new Error(`the program that answers at ${where} is not ${program}`, { cause: error });
  }
  if (reply.status === 200) return answer;
  throw new Error(`${program} at ${where} refuses: ${answer?.error ?? `HTTP status ${reply.status}`}`);
}

interface Reply {
  readonly status: number | undefined;
  readonly text: string;
}

/** One request on a connection of its own, which closes at the end: a command must not wait for an idle one. */
function send(options: RequestOptions, body: unknown, signal: AbortSignal): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...options, agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswerBytes) response.destroy(new Error('the answer is too large'));
        chunks.push(chunk);
      });
      response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }));
    });
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/**
 * Another user may listen where the daemon should: it would take the commands, and its answers would be believed.
 * @throws {Untrusted} naming the socket
 */
async function checkSocket({ socketPath }: RequestOptions, program: string): Promise<void> {
  if (typeof socketPath !== 'string') return;
  const fix = `start ${program} again, or set admin.control_socket to a path in a folder that only ${program}'s user can write to`;
  try {
    await requireTrusted(socketPath, fix, thisHost.files);
  } catch (error) {
    // A folder that this user cannot enter: connecting says so.
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
}

/** Where to send requests. @throws when the daemon listens nowhere */
function address({ listen, control_socket: socketPath }: AdminTarget, program: string) {
  if (listen === false && !socketPath) {
    throw new Error(`${program} cannot be asked: admin.listen has no fixed port, and there is no admin.control_socket`);
  }
  const where = listen !== false ? listen : String(socketPath);
  const to = listen !== false ? splitListen(listen) : { socketPath: String(socketPath), host: 'localhost' };
  return { where, to };
}

function explain(
  error: NodeJS.ErrnoException,
  at: { readonly program: string; readonly where: string; readonly timeoutMs: number },
): Error {
  const { program, where, timeoutMs } = at;
  if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') {
    return new NotRunning(`${program} is not running: nothing answers at ${where}`);
  }
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new Error(
      `permission denied to connect to ${where}; the socket's owner and admin.control_socket_mode decide which users may`,
    );
  }
  if (isTimeout(error)) {
    return new NotRunning(`${program} at ${where} did not answer within ${timeoutMs} ms`);
  }
  return new Error(`cannot ask ${program} at ${where}`, { cause: error });
}

function isTimeout({ name }: Error): boolean {
  return name === 'AbortError' || name === 'TimeoutError';
}
