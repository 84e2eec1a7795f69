import type { IncomingMessage, ServerResponse } from 'node:http';
import { metricsText, registry } from '../daemon/metrics.ts';

/**
 * Changes something. Gets the request's JSON body and returns the answer; what is async-iterable is sent as one line of JSON for
 * each item, as soon as there is one. `signal` aborts when the client has gone. @throws {BadRequest}
 */
export type ControlRoute = (body: unknown, signal: AbortSignal) => Promise<unknown> | unknown;

/** A control request is invalid; the message is sent to the client. */
export class BadRequest extends Error {
  override readonly name = 'BadRequest';
}

/** Answers GET and HEAD requests of one path; changes nothing. */
export type ReadRoute = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

/** What the server serves. */
export interface AdminAnswers {
  /** The daemon's own routes by path, beside those that every daemon has. */
  readonly routes?: Readonly<Record<string, ReadRoute>>;
  /** Why the daemon is not ready; null when it is. */
  readonly ready: () => string | null;
  /** The state that `status` prints: JSON without secrets. */
  readonly state: () => unknown;
  /** POST routes by path; only the control socket serves them. */
  readonly control?: Readonly<Record<string, ControlRoute>>;
}

/** Control requests are a few names; a larger body is a mistake. */
const maxBodyBytes = 64 * 1024;

/** Answers one request. @throws {BadRequest}, and what the route throws */
export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: AdminAnswers,
  control: Readonly<Record<string, ControlRoute>>,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const route = Object.hasOwn(control, path) ? control[path] : undefined;
  const { routes = {} } = options;
  const own = Object.hasOwn(routes, path) ? routes[path] : undefined;
  const read = Object.hasOwn(readRoutes, path) ? readRoutes[path as keyof typeof readRoutes] : undefined;
  if (route === undefined && own === undefined && read === undefined) {
    return sendJson(response, 404, {
      error: `no ${path} here`,
      paths: [...Object.keys(readRoutes), ...Object.keys(routes), ...Object.keys(control)],
    });
  }
  const allowed = route === undefined ? ['GET', 'HEAD'] : ['POST'];
  if (!allowed.includes(request.method ?? '')) {
    response.setHeader('Allow', allowed.join(', '));
    return sendJson(response, 405, { error: `${request.method} is not allowed on ${path}; ${allowed.join(', ')} is` });
  }
  if (route !== undefined) return sendAnswer(response, route, await readBody(request));
  if (own !== undefined) return own(request, response);
  await read?.(response, options);
}

const readRoutes = {
  '/healthz': async (response: ServerResponse) => sendText(response, 200, 'ok\n'),
  '/readyz': async (response: ServerResponse, { ready }: AdminAnswers) => {
    const reason = ready();
    if (reason === null) sendText(response, 200, 'ready\n');
    else sendText(response, 503, `${reason}\n`);
  },
  '/metrics': async (response: ServerResponse) => {
    sendText(response, 200, await metricsText(), registry.contentType);
  },
  '/api/v1/state': async (response: ServerResponse, { state }: AdminAnswers) => sendJson(response, 200, state()),
};

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > maxBodyBytes) throw new BadRequest(`the body has more than ${maxBodyBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString() || '{}');
  } catch (error) {
    throw new BadRequest('the body is not JSON', { cause: error });
  }
}

async function sendAnswer(response: ServerResponse, route: ControlRoute, body: unknown): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const result = (await route(body, gone.signal)) ?? {};
  if (!isAsyncIterable(result)) return sendJson(response, 200, result);
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' });
  for await (const item of result) {
    if (gone.signal.aborted) return;
    response.write(`${JSON.stringify(item)}\n`);
  }
  response.end();
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** Answers with JSON. A response that has begun already is cut off. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendText(response, status, `${JSON.stringify(value)}\n`, 'application/json');
}

/** Answers with text. A response that has begun already is cut off. */
export function sendText(
  response: ServerResponse,
  status: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  // Node.js leaves the body out of an answer to HEAD.
  response.end(text);
}
