import { Client } from 'undici';
import { type Answer, type Channel, readBody } from './answer.ts';
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
