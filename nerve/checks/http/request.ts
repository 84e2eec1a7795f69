import { once } from 'node:events';
import { connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { Client } from 'undici';
import { type HttpCheckOptions, wantsBody } from './options.ts';

/** One request of HTTP/1.1. */
export async function askHttp1(
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

/** What a server said. */
export interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
}

/** Where a question goes. */
export interface Channel {
  readonly origin: string;
  readonly channel: Socket;
  readonly signal: AbortSignal;
}

/** How much of a body is searched, bytes. Health pages are short; an endless one must not fill memory. */
const maxBody = 1024 * 1024;

/** As much of it as is looked at. */
export async function readBody(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > maxBody) break;
  }
  return Buffer.concat(chunks).toString();
}

/** One request of HTTP/2. Over node:http2: undici 7 crashes the process when a connection of HTTP/2 is destroyed under it. */
export async function askHttp2(path: string, options: HttpCheckOptions, { origin, channel }: Channel): Promise<Answer> {
  const { method, body, read_timeout } = options;
  const { host, ...headers } = Object.fromEntries(
    Object.entries(options.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const session = connect(origin, { createConnection: () => channel });
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
