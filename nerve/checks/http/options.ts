import type { Schema } from '../../../common/config/config.ts';
import { anyText, type JsonSchema, mapOf, oneOrList, textLike } from '../../../common/config/json-values.ts';
import { type TlsClientOptions, tlsClientSchema } from '../../../common/net/tls-client.ts';

/** The options of the check `http`. */
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

const status: JsonSchema = {
  anyOf: [{ type: 'integer', minimum: 100, maximum: 599 }, textLike(String.raw`^[1-5]\d\d(-[1-5]\d\d)?$`)],
};

/** The schema of {@link HttpCheckOptions}. */
export const httpSchema: Schema<HttpCheckOptions> = {
  uri: {
    doc: 'path to request, such as /health',
    format: readUri,
    json: textLike('^/[!-~]*$'),
    type: 'path',
    default: null,
  },
  method: {
    doc: 'method of the request',
    format: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    default: 'GET',
  },
  headers: {
    doc: 'request headers by name, such as Host',
    format: readHeaders,
    json: mapOf(anyText),
    type: 'object',
    default: {},
    sensitive: true,
  },
  body: { doc: 'body of the request; by default none', format: 'optional-string', default: null, sensitive: true },
  statuses: {
    doc: 'statuses that pass: numbers and ranges',
    format: readStatuses,
    json: oneOrList(status, { minItems: 1 }),
    type: 'list',
    default: ['200-399'],
  },
  expect: { doc: 'text that the body must contain', format: 'optional-string', default: null },
  matches: {
    doc: 'regular expression (JavaScript) that the body must match',
    format: readPattern,
    json: anyText,
    type: 'string',
    default: null,
    nullable: true,
  },
  json: {
    doc: 'values that the body, read as JSON, must have: {"status": "ok", "db.replicas": 2}',
    format: 'object',
    default: {},
  },
  follow_redirects: {
    doc: 'number of redirects to follow, on the same server only; by default the redirect is the answer',
    format: 'natural-number',
    default: 0,
  },
  http2: { doc: 'speak HTTP/2, with ssl and without', format: 'boolean', default: false },
  socket: {
    doc: 'unix socket to use instead of host and port',
    format: 'optional-non-empty-string',
    names: 'socket',
    default: null,
  },
  ssl: { doc: 'speak https', format: 'boolean', default: false },
  ...tlsClientSchema,
  open_timeout: { doc: 'longest time to connect; by default only timeout applies', ...time },
  read_timeout: { doc: 'longest time to wait for the answer; by default only timeout applies', ...time },
  ssl_timeout: { doc: 'longest time for TLS, added to open_timeout; as in SmartStack', ...time },
};

/** True when the check searches the body. */
export function wantsBody({ expect, matches, json }: HttpCheckOptions): boolean {
  return expect !== null || matches !== null || Object.keys(json).length > 0;
}

function readUri(value: unknown): void {
  // A request line may have visible ASCII only.
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
      throw new Error(`${allowed}; ${JSON.stringify(name)} is not a header name`);
    if (typeof text !== 'string' || !/^[\t -~\x80-\xff]*$/.test(text))
      throw new Error(`${allowed}; ${name} must be a one-line string`);
  }
  return value as Readonly<Record<string, string>>;
}
