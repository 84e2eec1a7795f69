import type { IncomingMessage, ServerResponse } from 'node:http';
import { clock } from '../async/clock.ts';
import type { Journal, Stamp } from '../daemon/journal.ts';
import { type ReadRoute, sendJson } from './routes.ts';

export interface JournalRouteOptions {
  /** Streams at the same time; one more is refused. Default 32. */
  readonly streams?: number;
  /** Milliseconds between signs of life on a silent stream, default 15 s. */
  readonly heartbeat?: number;
}

/** Bytes that a client may leave unread until it is dropped: it asks again and gets what it missed. */
const mostUnread = 1024 * 1024;

/**
 * `/api/v1/events`: what is remembered as JSON (`?since=SEQ`: only what came after), or with
 * `Accept: text/event-stream`, and always at `/api/v1/events/stream`, as server-sent events that go on.
 */
export function journalRoutes<Entry extends object>(
  journal: Journal<Entry>,
  options: JournalRouteOptions = {},
): Readonly<Record<string, ReadRoute>> {
  const { streams: mostStreams = 32, heartbeat = 15_000 } = options;
  let streams = 0;

  const stream = (request: IncomingMessage, response: ServerResponse): void => {
    if (streams >= mostStreams) {
      response.setHeader('Retry-After', '5');
      sendJson(response, 503, { error: `${mostStreams} streams are open, which is all there may be` });
      return;
    }
    streams += 1;
    const end = new AbortController();
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'X-Accel-Buffering': 'no',
    });
    const write = (text: string): void => {
      if (response.writableLength > mostUnread) response.destroy();
      else response.write(text);
    };
    const tell = (entry: Entry & Stamp): void => write(`id: ${entry.seq}\ndata: ${JSON.stringify(entry)}\n\n`);
    const timer = clock.setInterval(() => write(': alive\n\n'), heartbeat);
    response.on('close', () => {
      streams -= 1;
      clock.clearInterval(timer);
      end.abort();
    });
    write(`retry: 2000\nevent: hello\ndata: ${JSON.stringify({ began: journal.began, last: journal.last })}\n\n`);
    for (const entry of journal.since(sinceOf(request))) tell(entry);
    journal.listen(tell, end.signal);
  };

  return {
    '/api/v1/events': (request, response) => {
      if (/\btext\/event-stream\b/.test(request.headers.accept ?? '')) return stream(request, response);
      const { began, last } = journal;
      sendJson(response, 200, { began, last, events: journal.since(sinceOf(request)) });
    },
    '/api/v1/events/stream': stream,
  };
}

/** After which entry to begin; a client that comes again says so itself. 0: with the oldest. */
function sinceOf(request: IncomingMessage): number {
  const query = new URL(request.url ?? '/', 'http://localhost').searchParams.get('since');
  const value = Number(request.headers['last-event-id'] ?? query ?? 0);
  return Number.isInteger(value) && value > 0 ? value : 0;
}
