import { once } from 'node:events';
import { connect as connectHttp2, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { Client } from 'undici';
import { abortable } from '../../common/abortable.ts';
import { isObject } from '../../common/formats.ts';
import { plainReason } from '../../common/reason.ts';
import { show } from '../../common/secrets.ts';
import { type Address, formatAddress, openSocket } from '../../common/socket.ts';
import { checkTlsClient, type TlsClientOptions, tlsClient, tlsClientSchema } from '../../common/tlsclient.ts';
import { startTls } from '../../common/tlssocket.ts';
import type { CheckPlugin, CheckTarget } from '../check.ts';

export interface HttpCheckOptions extends TlsClientOptions {
  readonly uri: string;
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly statuses: readonly string[];
  readonly expect: string | null;
  readonly matches: string | null;
  readonly json: Readonly<Record<string, unknown>>;
  readonly follow_redirects: number;
  readonly http2: boolean;
  readonly socket: string | null;
  readonly ssl: boolean;
  readonly open_timeout: number | null;
  readonly read_timeout: number | null;
  readonly ssl_timeout: number | null;
}

const time = { format: 'optional-positive-duration', default: null } as const;

/** How much of a body is searched, bytes. Health pages are short; an endless one must not fill memory. */
const maxBody = 1024 * 1024;

export const check: CheckPlugin<HttpCheckOptions> = {
  description: 'Passes when a path answers with a status from 200 to 399 or as told and, if asked, a certain body.',
  schema: {
    uri: { doc: 'path to ask for, such as /health', format: readUri, type: 'path', default: null },
    method: {
      doc: 'how to ask for it',
      format: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      default: 'GET',
    },
    headers: {
      doc: 'request headers, by name; Host among them',
      format: readHeaders,
      type: 'object',
      default: {},
      sensitive: true,
    },
    body: { doc: 'what to send; by default nothing', format: 'optional-string', default: null, sensitive: true },
    statuses: {
      doc: 'statuses that pass: numbers and ranges',
      format: readStatuses,
      type: 'list',
      default: ['200-399'],
    },
    expect: { doc: 'text that the body must contain', format: 'optional-string', default: null },
    matches: {
      doc: 'regular expression (JavaScript) that the body must match',
      format: readPattern,
      type: 'string',
      default: null,
      nullable: true,
    },
    json: {
      doc: 'values that the body, as JSON, must have: {"status": "ok", "db.replicas": 2}',
      format: 'object',
      default: {},
    },
    follow_redirects: {
      doc: 'how many redirects to follow, on the same server only; by default a redirect is the answer',
      format: 'natural-number',
      default: 0,
    },
    http2: { doc: 'speak HTTP/2, with ssl and without', format: 'boolean', default: false },
    socket: { doc: 'unix socket to use instead of host and port', format: 'optional-non-empty-string', default: null },
    ssl: { doc: 'speak https', format: 'boolean', default: false },
    ...tlsClientSchema,
    open_timeout: { doc: 'longest time to connect; by default only timeout counts', ...time },
    read_timeout: { doc: 'longest time to wait for the answer; by default only timeout counts', ...time },
    ssl_timeout: { doc: 'as in SmartStack; counts together with open_timeout', ...time },
  },
  deadline({ open_timeout: open, read_timeout: read, ssl_timeout: ssl }, timeout) {
    // Existing files give each phase its own time and leave timeout at its small default.
    if (open === null && read === null && ssl === null) return timeout;
    return Math.max(timeout, (open ?? 0) + (ssl ?? 0) + (read ?? timeout));
  },
  create(options, target) {
    checkTlsClient(options);
    const { method, body } = options;
    if (method === 'GET' && body !== null) throw new Error('body needs another method than GET');
    if (method === 'HEAD' && wantsBody(options)) {
      throw new Error('an answer to HEAD has no body to look at');
    }
    return (signal) => probe(options, target, signal);
  },
};

async function probe(options: HttpCheckOptions, target: CheckTarget, signal: AbortSignal): Promise<void> {
  const { ssl, statuses, follow_redirects } = options;
  const origin = `${ssl ? 'https' : 'http'}://${formatAddress(target)}`;
  let path = options.uri;
  for (let redirects = 0; ; redirects++) {
    const { status, location, body } = await ask(path, options, { origin, target, signal });
    if (status >= 300 && status < 400 && location !== undefined && redirects < follow_redirects) {
      const next = new URL(location, `${origin}${path}`);
      if (next.origin !== new URL(origin).origin) throw new Error(`redirected to another server, ${next.origin}`);
      path = next.pathname + next.search;
      continue;
    }
    if (!statuses.some((range) => isIn(status, range))) {
      throw new Error(`status ${status}, not ${statuses.join(', ').replaceAll('-', ' to ')}`);
    }
    return judge(body, options);
  }
}

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
}

interface Place {
  readonly origin: string;
  readonly target: CheckTarget;
  readonly signal: AbortSignal;
}

/**
 * One request on a connection of its own: a connection kept open would hide that no new one can be made. We open it
 * ourselves, because the client does not give up on a TLS handshake when its signal aborts.
 */
async function ask(path: string, options: HttpCheckOptions, { origin, target, signal }: Place): Promise<Answer> {
  const { socket, channel } = await open(options, target, signal);
  const place = { origin, channel, signal };
  try {
    return await abortable(options.http2 ? askHttp2(path, options, place) : askHttp1(path, options, place), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(`no answer from ${origin}: ${plainReason(error)}`);
  } finally {
    socket.destroy();
  }
}

interface Channel {
  readonly origin: string;
  readonly channel: Socket;
  readonly signal: AbortSignal;
}

async function askHttp1(
  path: string,
  options: HttpCheckOptions,
  { origin, channel, signal }: Channel,
): Promise<Answer> {
  const { method, headers, body, read_timeout } = options;
  const client = new Client(origin, {
    // 0 means none of its own: the signal is the deadline then.
    headersTimeout: read_timeout ?? 0,
    bodyTimeout: read_timeout ?? 0,
    allowH2: false,
    // Not at once: the client would ask for a connection again and again.
    connect: (_, callback) => setImmediate(callback, null, channel),
  });
  try {
    const response = await client.request({ method, path, headers: { ...headers }, body, reset: true, signal });
    response.body.on('error', () => {}); // a body that breaks off after the verdict is no crash
    const { location } = response.headers;
    return {
      status: response.statusCode,
      location: typeof location === 'string' ? location : undefined,
      body: wantsBody(options) ? await readBody(response.body) : '',
    };
  } finally {
    client.destroy().catch(() => {});
  }
}

/** Over node:http2: undici 7 crashes the process when a connection of HTTP/2 is destroyed under it. */
async function askHttp2(path: string, options: HttpCheckOptions, { origin, channel }: Channel): Promise<Answer> {
  const { method, body, read_timeout } = options;
  const { host, ...headers } = Object.fromEntries(
    Object.entries(options.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const session = connectHttp2(origin, { createConnection: () => channel });
  try {
    const broken = new Promise<never>((_, reject) => {
      session.on('error', reject);
      session.once('close', () => reject(new Error('connection closed')));
      if (read_timeout !== null) {
        session.setTimeout(read_timeout, () => reject(new Error(`no answer within ${read_timeout} ms`)));
      }
    });
    const pseudo = { ':method': method, ':path': path, ...(host !== undefined && { ':authority': host }) };
    const stream = session.request({ ...headers, ...pseudo });
    stream.on('error', () => {}); // the waits below hear of it
    stream.end(body ?? undefined);
    const answer = async (): Promise<Answer> => {
      const [response] = (await once(stream, 'response')) as [IncomingHttpHeaders & IncomingHttpStatusHeader];
      const { ':status': status = 0, location } = response;
      return { status, location, body: wantsBody(options) ? await readBody(stream) : '' };
    };
    return await Promise.race([answer(), broken]);
  } finally {
    session.destroy();
  }
}

/** The connection, and what HTTP is spoken over: the same, or TLS on it. */
async function open(
  options: HttpCheckOptions,
  { host, port }: CheckTarget,
  signal: AbortSignal,
): Promise<{ readonly socket: Socket; readonly channel: Socket }> {
  const { ssl, http2, open_timeout, ssl_timeout } = options;
  const address: Address = options.socket === null ? { host, port } : { path: options.socket };
  const limit = new AbortController();
  const onAbort = (): void => limit.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const longest = open_timeout === null ? null : open_timeout + (ssl_timeout ?? 0);
  const timer =
    longest === null
      ? undefined
      : setTimeout(
          () => limit.abort(new Error(`no connection to ${formatAddress(address)} within ${longest} ms`)),
          longest,
        );
  let socket: Socket | undefined;
  try {
    signal.throwIfAborted();
    const names = ssl ? await tlsClient(options, host) : undefined;
    socket = await openSocket(address, limit.signal);
    let channel = socket;
    if (names !== undefined) {
      const secure = await startTls(socket, { ...names, ALPNProtocols: [http2 ? 'h2' : 'http/1.1'] }, limit.signal);
      if (http2 && secure.alpnProtocol !== 'h2') throw new Error('the server does not speak HTTP/2');
      channel = secure;
    }
    return { socket, channel };
  } catch (error) {
    socket?.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

async function readBody(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > maxBody) break;
  }
  return Buffer.concat(chunks).toString();
}

function wantsBody({ expect, matches, json }: HttpCheckOptions): boolean {
  return expect !== null || matches !== null || Object.keys(json).length > 0;
}

function judge(body: string, { expect, matches, json }: HttpCheckOptions): void {
  if (expect !== null && !body.includes(expect)) {
    throw new Error(`the body does not contain ${JSON.stringify(expect)}`);
  }
  if (matches !== null && !new RegExp(matches).test(body)) throw new Error(`the body does not match ${matches}`);
  if (Object.keys(json).length === 0) return;
  const value = parseJson(body);
  for (const [path, wanted] of Object.entries(json)) {
    const found = valueAt(value, path);
    if (JSON.stringify(found) !== JSON.stringify(wanted)) {
      throw new Error(`${path} of the body is ${show(found)}, not ${show(wanted)}`);
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('the body is no JSON');
  }
}

/** `db.replicas` of `{"db": {"replicas": 2}}`; numbers count the items of lists from 0. */
function valueAt(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((at, key) => {
    const inside = (isObject(at) || Array.isArray(at)) && Object.hasOwn(at, key);
    return inside ? (at as Record<string, unknown>)[key] : undefined;
  }, value);
}

function isIn(status: number, range: string): boolean {
  const [from = 0, to = from] = range.split('-').map(Number);
  return status >= from && status <= to;
}

function readUri(value: unknown): void {
  // What may stand in a request line: visible ASCII.
  if (typeof value !== 'string' || !/^\/[!-~]*$/.test(value)) throw new Error('must be a path that starts with /');
}

function readStatuses(value: unknown): readonly string[] {
  const list = (Array.isArray(value) ? value : [value]).map(String);
  if (list.length === 0 || !list.every((item) => /^[1-5]\d\d(?:-[1-5]\d\d)?$/.test(item))) {
    throw new Error('must be a list of statuses and ranges of them, such as [200, "300-399"]');
  }
  return list;
}

function readPattern(value: unknown): void {
  const allowed = 'must be a regular expression, such as "^OK$"';
  if (typeof value !== 'string') throw new Error(allowed);
  try {
    new RegExp(value);
  } catch (error) {
    throw new Error(allowed, { cause: error });
  }
}

function readHeaders(value: unknown): Readonly<Record<string, string>> {
  const allowed = 'must be an object of header names and their values';
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Error(allowed);
  for (const [name, text] of Object.entries(value)) {
    // RFC 9110, sections 5.1 and 5.5.
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
      throw new Error(`${allowed}; ${JSON.stringify(name)} is no header name`);
    if (typeof text !== 'string' || !/^[\t -~\x80-\xff]*$/.test(text))
      throw new Error(`${allowed}; ${name} must be a one-line string`);
  }
  return value as Readonly<Record<string, string>>;
}
