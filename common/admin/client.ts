import { type IncomingMessage, request } from 'node:http';
import { timeoutSignal } from '../async/timeout.ts';
import { ConfigError, formatProblem } from '../config/problem.ts';
import { type AdminConfig, splitListen } from './options.ts';

/** Where a running daemon can be asked. */
export type AdminTarget = Pick<AdminConfig, 'listen' | 'control_socket'>;

export interface AskOptions {
  /** Who is asked, for messages. */
  readonly program: string;
  /** Milliseconds, default 5 s. */
  readonly timeout?: number;
}

/** Nobody answers where the daemon should be: it is down, or hangs. */
export class NotRunning extends Error {
  override readonly name = 'NotRunning';
}

/** An answer larger than this is not the daemon's. Bytes. */
const maxAnswer = 256 * 1024 * 1024;

/**
 * Reads `/api/v1/state` of the running daemon, over HTTP or, when that is off, over its control socket.
 * @throws saying where was asked, when the daemon is not running or does not answer in time
 */
export function readState(target: AdminTarget, options: AskOptions): Promise<unknown> {
  return readPath(target, '/api/v1/state', options);
}

/** The same for another path that answers JSON. @throws as {@link readState} does */
export function readPath(target: AdminTarget, path: string, options: AskOptions): Promise<unknown> {
  return ask(readable(target), { ...options, method: 'GET', path });
}

/**
 * Follows a stream of server-sent events that carry JSON: yields the data of each, until `signal` aborts. Named ones, such
 * as a greeting, are left out.
 * @throws saying where was asked, when the daemon is not running, refuses, ends, or is silent for too long
 */
export async function* followStream(
  target: AdminTarget,
  path: string,
  options: AskOptions,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  const { program, timeout = streamSilence } = options;
  const { where, to } = address(readable(target), program);
  let begun = false;
  let lost = 'has ended, or closed this connection';
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request({ ...to, path, agent: false, signal, timeout }, resolve);
      outgoing.on('timeout', () => {
        lost = `was silent for ${timeout} ms`;
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
    if (!begun && !signal.aborted) throw explain(error as Error, { program, where, timeout });
  }
  if (!signal.aborted) throw new Error(`${program} at ${where} ${lost}`);
}

/** A stream gives a sign of life every 15 s. Milliseconds. */
const streamSilence = 45_000;

/** Which port the system chose for 0 is not in the configuration. */
function readable(target: AdminTarget): AdminTarget {
  const reachable = target.listen !== false && splitListen(target.listen).port !== 0;
  return reachable ? target : { ...target, listen: false };
}

/**
 * Asks the running daemon to change something, over its control socket.
 * @throws with the daemon's own words when it refuses
 */
export function control(target: AdminTarget, path: string, body: unknown, options: AskOptions): Promise<unknown> {
  if (!target.control_socket) {
    return Promise.reject(new Error(`${options.program} has no control socket; set admin.control_socket to a path`));
  }
  return ask({ ...target, listen: false }, { ...options, method: 'POST', path, body });
}

function ask(
  target: AdminTarget,
  options: AskOptions & { readonly method: string; readonly path: string; readonly body?: unknown },
): Promise<unknown> {
  const { program, timeout = 5000, method, path, body } = options;
  return new Promise((resolve, reject) => {
    const { where, to } = address(target, program);
    const fail = (error: NodeJS.ErrnoException): void => {
      const found = explain(error, { program, where, timeout });
      // It has the request, and may hang for no longer than we wait.
      if (method === 'POST' && isTimeout(error)) found.message += '; it may still do it';
      reject(found);
    };
    const signal = timeoutSignal(timeout);
    // A connection of its own, closed at the end: a command must not wait for an idle one.
    const outgoing = request({ ...to, method, path, agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswer) response.destroy(new Error('the answer is too large'));
        chunks.push(chunk);
      });
      response.on('end', () => {
        try {
          const answer = JSON.parse(Buffer.concat(chunks).toString()) as { readonly error?: string };
          if (response.statusCode === 200) return resolve(answer);
          reject(new Error(`${program} at ${where} refuses: ${answer.error ?? `HTTP status ${response.statusCode}`}`));
        } catch (error) {
          reject(new Error(`what answers at ${where} is not ${program}`, { cause: error }));
        }
      });
    });
    outgoing.on('error', fail);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** @throws when there is nowhere to ask */
function address({ listen, control_socket: socketPath }: AdminTarget, program: string) {
  if (listen === false && !socketPath) {
    throw new Error(`${program} cannot be asked: admin.listen names no port and there is no admin.control_socket`);
  }
  const where = listen !== false ? listen : String(socketPath);
  const to = listen !== false ? splitListen(listen) : { socketPath: String(socketPath), host: 'localhost' };
  return { where, to };
}

function explain(
  error: NodeJS.ErrnoException,
  at: { readonly program: string; readonly where: string; readonly timeout: number },
): Error {
  const { program, where, timeout } = at;
  if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') {
    return new NotRunning(`${program} is not running: nobody answers at ${where}`);
  }
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new Error(
      `may not connect to ${where}: permission denied; its owner and admin.control_socket_mode say who may`,
    );
  }
  if (isTimeout(error)) {
    return new NotRunning(`${program} at ${where} did not answer within ${timeout} ms`);
  }
  return new Error(`cannot ask ${program} at ${where}`, { cause: error });
}

function isTimeout({ name }: Error): boolean {
  return name === 'AbortError' || name === 'TimeoutError';
}

/**
 * Reads the configuration because the daemon does not answer.
 * @throws both reasons, when the configuration cannot be used either
 */
export async function configInstead<Config>(why: NotRunning, load: () => Promise<Config>): Promise<Config> {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.map((problem) => `\n  ${formatProblem(problem)}`).join('');
    throw new Error(`${why.message}; and nothing else was asked, because of the configuration:${problems}`);
  }
}
