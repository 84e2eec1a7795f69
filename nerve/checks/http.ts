import { abortable } from '../../common/async/abort.ts';
import { formatAddress } from '../../common/net/socket.ts';
import { checkTlsClient } from '../../common/net/tls-client.ts';
import { plainReason } from '../../common/reason.ts';
import type { CheckPlugin, CheckTarget } from '../check.ts';
import { openConnection } from './http/connection.ts';
import { assertExpected } from './http/expectations.ts';
import { type HttpCheckOptions, httpSchema, wantsBody } from './http/options.ts';
import { type Answer, ReadTimeout, requestHttp1, requestHttp2 } from './http/request.ts';

/** `http` */
export const check: CheckPlugin<HttpCheckOptions> = {
  description:
    'Passes when the server answers a request with an expected status, 200 to 399 by default, and an expected body.',
  schema: httpSchema,
  deadline({ open_timeout: open, read_timeout: read, ssl_timeout: ssl }, timeout) {
    // Files written for SmartStack give each phase its own time and leave timeout at its small default.
    if (open === null && read === null && ssl === null) return timeout;
    return Math.max(timeout, (open ?? 0) + (ssl ?? 0) + (read ?? timeout));
  },
  create(options, target) {
    checkTlsClient(options);
    const { method, body } = options;
    if (method === 'GET' && body !== null) throw new Error('body needs a method other than GET');
    if (method === 'HEAD' && wantsBody(options)) {
      throw new Error('an answer to HEAD has no body: expect, matches and json need another method');
    }
    return (signal) => probe(options, target, signal);
  },
};

async function probe(options: HttpCheckOptions, target: CheckTarget, signal: AbortSignal): Promise<void> {
  const { ssl, follow_redirects } = options;
  const origin = `${ssl ? 'https' : 'http'}://${formatAddress(target)}`;
  let path = options.uri;
  for (let redirects = 0; ; redirects++) {
    const { status, location, body } = await send(path, options, { origin, target, signal });
    if (status >= 300 && status < 400 && location !== undefined && redirects < follow_redirects) {
      const next = new URL(location, `${origin}${path}`);
      if (next.origin !== new URL(origin).origin) throw new Error(`redirected to another server, ${next.origin}`);
      path = next.pathname + next.search;
      continue;
    }
    // Without the query, which may have a token.
    return assertExpected({ status, body }, `${options.method} ${path.split('?')[0]}`, options);
  }
}

interface Destination {
  readonly origin: string;
  readonly target: CheckTarget;
  readonly signal: AbortSignal;
}

/**
 * Sends one request on a connection of its own: a connection kept open would hide that the server accepts no new ones.
 * The HTTP client does not open it, because it goes on with a TLS handshake after its signal has aborted.
 */
async function send(path: string, options: HttpCheckOptions, { origin, target, signal }: Destination): Promise<Answer> {
  const { socket, channel } = await openConnection(options, target, signal);
  const request = options.http2 ? requestHttp2 : requestHttp1;
  try {
    return await abortable(request(path, options, { origin, channel, signal }), signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ReadTimeout) throw error;
    throw new Error(`no answer from ${origin}: ${plainReason(error)}`);
  } finally {
    socket.destroy();
  }
}
