import { once } from 'node:events';
import { connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { formatLatency } from '../../../common/wording.ts';
import { openClient } from './client.ts';
import { type HttpCheckOptions, wantsBody } from './options.ts';

/** What a server answered. */
export interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  /** Its beginning, as much as the check searches; empty when the check does not search it. */
  readonly body: string;
}

/** The connection of one request. */
export interface Channel {
  readonly origin: string;
  readonly channel: Socket;
  readonly signal: AbortSignal;
}

/** The server did not answer within `read_timeout`. */
export class ReadTimeout extends Error {
  override readonly name = 'ReadTimeout';

  constructor(timeoutMs: number) {
    super(`no answer within ${formatLatency(timeoutMs)}`);
  }
}

/** Sends one request over HTTP/1.1. */
export async function requestHttp1(
  path: string,
  options: HttpCheckOptions,
  { origin, channel, signal }: Channel,
): Promise<Answer> {
  const { method, headers, body, read_timeout } = options;
  const client = openClient(origin, {
    // 0 turns the client's own deadline off: the signal is the deadline then.
    headersTimeout: read_timeout ?? 0,
    bodyTimeout: read_timeout ?? 0,
    allowH2: false,
    // Not synchronously: the client would ask for a connection again and again.
    connect: (_, callback) => setImmediate(callback, null, channel),
  });
  try {
    const response = await client.request({ method, path, headers: { ...headers }, body, reset: true, signal });
    response.body.on('error', () => {}); // a body that breaks off after the check has its result is no crash
    const { location } = response.headers;
    return {
      status: response.statusCode,
      location: typeof location === 'string' ? location : undefined,
      body: wantsBody(options) ? await readBody(response.body) : '',
    };
  } catch (error) {
    const { code } = error as { code?: unknown };
    const late = code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT';
    throw late && read_timeout !== null ? new ReadTimeout(read_timeout) : error;
  } finally {
    client.destroy().catch(() => {});
  }
}

/** How much of a body the check searches, bytes. Health pages are short; an endless one must not fill memory. */
const maxBody = 1024 * 1024;

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

/** Sends one request over HTTP/2, with node:http2: undici 7 crashes the process when its HTTP/2 connection is destroyed. */
export async function requestHttp2(
  path: string,
  options: HttpCheckOptions,
  { origin, channel }: Channel,
): Promise<Answer> {
  const { method, body, read_timeout } = options;
  const { host, ...headers } = Object.fromEntries(
    Object.entries(options.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const session = connect(origin, { createConnection: () => channel });
  try {
    const broken = new Promise<never>((_, reject) => {
      session.on('error', reject);
      session.once('close', () => reject(new Error('connection closed')));
      if (read_timeout !== null) session.setTimeout(read_timeout, () => reject(new ReadTimeout(read_timeout)));
    });
    const pseudo = { ':method': method, ':path': path, ...(host !== undefined && { ':authority': host }) };
    const stream = session.request({ ...headers, ...pseudo });
    stream.on('error', () => {}); // each error also rejects the promises below
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
