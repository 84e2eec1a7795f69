import { isIP } from 'node:net';
import { Client, type Dispatcher } from 'undici';
import type { CheckPlugin, CheckTarget } from '../check.ts';

export interface HttpCheckOptions {
  readonly uri: string;
  readonly ssl: boolean;
  readonly ssl_verify: boolean;
  readonly ssl_server_name?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expect: string | null;
  readonly open_timeout: number | null;
  readonly read_timeout: number | null;
  readonly ssl_timeout: number | null;
}

const time = { format: 'optional-positive-duration', default: null } as const;

/** How much of a body is searched for `expect`, bytes. Health pages are short; an endless one must not fill memory. */
const maxBody = 1024 * 1024;

export const check: CheckPlugin<HttpCheckOptions> = {
  description: 'Passes when GET of a path answers with a status from 200 to 399 and, if asked, a certain text.',
  schema: {
    uri: { doc: 'path to get, such as /health', format: readUri, type: 'path', default: null },
    ssl: { doc: 'speak https', format: 'boolean', default: false },
    ssl_verify: {
      doc: 'with ssl: refuse a certificate that is not trusted or names another host',
      format: 'boolean',
      default: false,
    },
    ssl_server_name: {
      doc: "with ssl: name to ask for and to expect in the certificate; by default the service's host",
      format: 'non-empty-string',
      default: undefined,
    },
    headers: { doc: 'request headers, by name', format: readHeaders, type: 'object', default: {} },
    expect: { doc: 'text that the body must contain', format: 'optional-string', default: null },
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
    return (signal) => probe(options, target, signal);
  },
};

/** One request on a connection of its own: a connection kept open would hide that no new one can be made. */
async function probe(options: HttpCheckOptions, { host, port }: CheckTarget, signal: AbortSignal): Promise<void> {
  const { uri, ssl, ssl_verify, ssl_server_name = host, headers, expect, read_timeout, ...rest } = options;
  const connectTimeout = rest.open_timeout === null ? null : rest.open_timeout + (rest.ssl_timeout ?? 0);
  const client = new Client(`${ssl ? 'https' : 'http'}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`, {
    // 0 means none of its own: the signal is the deadline then.
    headersTimeout: read_timeout ?? 0,
    bodyTimeout: read_timeout ?? 0,
    connect: {
      timeout: connectTimeout ?? 0,
      rejectUnauthorized: ssl_verify,
      // TLS has no server names that are addresses (RFC 6066, section 3).
      ...(isIP(ssl_server_name) === 0 && { servername: ssl_server_name }),
    },
  });
  try {
    const response = await client.request({ method: 'GET', path: uri, headers: { ...headers }, reset: true, signal });
    response.body.on('error', () => {}); // a body that breaks off after the verdict is no crash
    if (response.statusCode < 200 || response.statusCode > 399) {
      throw new Error(`status ${response.statusCode}, not from 200 to 399`);
    }
    if (expect !== null && !(await readBody(response.body)).includes(expect)) {
      throw new Error(`the body does not contain ${JSON.stringify(expect)}`);
    }
  } finally {
    await client.destroy();
  }
}

async function readBody(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > maxBody) break;
  }
  return Buffer.concat(chunks);
}

function readUri(value: unknown): void {
  // What may stand in a request line: visible ASCII.
  if (typeof value !== 'string' || !/^\/[!-~]*$/.test(value)) throw new Error('must be a path that starts with /');
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
