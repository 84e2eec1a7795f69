import type { IncomingMessage, ServerResponse } from 'node:http';
import { metricsText, registry } from '../daemon/metrics.ts';

/** Changes something. Gets the request's JSON body; what it returns is the answer. @throws {BadRequest} */
export type ControlRoute = (body: unknown) => Promise<unknown> | unknown;

/** A control request that makes no sense; the message goes to who asked. */
export class BadRequest extends Error {
  override readonly name = 'BadRequest';
}

/** Answers a GET, or a HEAD, of its path by itself; reads only. */
export type ReadRoute = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

/** What answers requests. */
export interface AdminAnswers {
  /** The daemon's own, by path, beside those that every daemon has. */
  readonly routes?: Readonly<Record<string, ReadRoute>>;
  /** Null when ready, otherwise why not. */
  readonly ready: () => string | null;
  /** What `status` prints; JSON, without secrets. */
  readonly state: () => unknown;
  /** By path, for POST; reachable over the control socket only. */
  readonly control?: Readonly<Record<string, ControlRoute>>;
}

/** Control requests are a few names; more is a mistake. Bytes. */
const maxBody = 64 * 1024;

/** Answers one request. @throws {BadRequest} and whatever a route throws */
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
  if (route !== undefined) return sendJson(response, 200, (await route(await readBody(request))) ?? {});
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
    if (size > maxBody) throw new BadRequest(`the body has more than ${maxBody} bytes`);
    chunks.push(chunk as Buffer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString() || '{}');
  } catch (error) {
    throw new BadRequest('the body is not JSON', { cause: error });
  }
}

/** Ends a response. One that has begun already can only be cut off. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendText(response, status, `${JSON.stringify(value)}\n`, 'application/json');
}

/** The same for other text. */
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
  // Node leaves the body out of the answer to HEAD.
  response.end(text);
}
