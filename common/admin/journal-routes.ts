import type { IncomingMessage, ServerResponse } from 'node:http';
import { clock } from '../async/clock.ts';
import type { Journal, Stamp } from '../daemon/journal.ts';
import { type ReadRoute, sendJson } from './routes.ts';

/** The limits of the streams of events. */
export interface JournalRouteOptions {
  /** Streams that may be open at the same time; one more is refused. Default 32. */
  readonly maxStreams?: number;
  /** Interval of the comments that keep a silent stream alive. Default 15 s. */
  readonly heartbeatMs?: number;
}

const streamHeaders = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'X-Accel-Buffering': 'no',
} as const;

/** A client that leaves more bytes unread is dropped. It reconnects and gets the entries that it missed. */
const maxUnreadBytes = 1024 * 1024;

/**
 * `/api/v1/events`: the kept entries as JSON (`?since=SEQ`: only those after that one), or with
 * `Accept: text/event-stream`, and always at `/api/v1/events/stream`, these and all later ones as server-sent events.
 */
export function journalRoutes<Entry extends object>(
  journal: Journal<Entry>,
  options: JournalRouteOptions = {},
): Readonly<Record<string, ReadRoute>> {
  const { maxStreams = 32, heartbeatMs = 15_000 } = options;
  let streams = 0;

  const stream = (request: IncomingMessage, response: ServerResponse): void => {
    // Its answer has no body that could go on: the next request on this connection would wait for its end.
    if (request.method === 'HEAD') {
      response.writeHead(200, streamHeaders).end();
      return;
    }
    if (streams >= maxStreams) {
      response.setHeader('Retry-After', '5');
      sendJson(response, 503, { error: `${maxStreams} streams are open, which is the limit` });
      return;
    }
    streams += 1;
    response.on('close', () => {
      streams -= 1;
    });
    streamJournal(journal, { since: sinceOf(request), heartbeatMs }, response);
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

/** Writes the kept entries after `since` and then every new one, until the response is closed. */
function streamJournal<Entry extends object>(
  journal: Journal<Entry>,
  { since, heartbeatMs }: { readonly since: number; readonly heartbeatMs: number },
  response: ServerResponse,
): void {
  const write = (text: string): void => {
    if (response.writableLength > maxUnreadBytes) response.destroy();
    else response.write(text);
  };
  const writeEntry = (entry: Entry & Stamp): void => write(`id: ${entry.seq}\ndata: ${JSON.stringify(entry)}\n\n`);
  const end = new AbortController();
  const heartbeat = clock.setInterval(() => write(': alive\n\n'), heartbeatMs);
  response.on('close', () => {
    clock.clearInterval(heartbeat);
    end.abort();
  });
  response.writeHead(200, streamHeaders);
  const { began, last } = journal;
  write(`retry: 2000\nevent: hello\ndata: ${JSON.stringify({ began, last })}\n\n`);
  for (const entry of journal.since(since)) writeEntry(entry);
  journal.listen(writeEntry, end.signal);
}

/** The number after which to begin; a client that reconnects sends its last one itself. 0 begins with the oldest. */
function sinceOf(request: IncomingMessage): number {
  const query = new URL(request.url ?? '/', 'http://localhost').searchParams.get('since');
  const value = Number(request.headers['last-event-id'] ?? query ?? 0);
  return Number.isInteger(value) && value > 0 ? value : 0;
}
