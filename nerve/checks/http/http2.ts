import { once } from 'node:events';
import { connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { type Answer, type Channel, readBody } from './answer.ts';
import { type HttpCheckOptions, wantsBody } from './options.ts';

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
