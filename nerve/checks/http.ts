import { abortable } from '../../common/async/abort.ts';
import { formatAddress } from '../../common/net/socket.ts';
import { checkTlsClient } from '../../common/net/tls-client.ts';
import { plainReason } from '../../common/reason.ts';
import type { CheckPlugin, CheckTarget } from '../check.ts';
import { openConnection } from './http/connection.ts';
import { judge } from './http/expectations.ts';
import { type HttpCheckOptions, httpSchema, wantsBody } from './http/options.ts';
import { type Answer, askHttp1, askHttp2 } from './http/request.ts';

export const check: CheckPlugin<HttpCheckOptions> = {
  description: 'Passes when a path answers with a status from 200 to 399 or as told and, if asked, a certain body.',
  schema: httpSchema,
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
  const { ssl, follow_redirects } = options;
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
    return judge({ status, body }, options);
  }
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
  const { socket, channel } = await openConnection(options, target, signal);
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
