import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { serveAdmin } from '../../../common/admin/admin.ts';
import { followStream, readPath } from '../../../common/admin/client.ts';
import { type JournalRouteOptions, journalRoutes } from '../../../common/admin/journal-routes.ts';
import { Journal } from '../../../common/daemon/journal.ts';
import { silentLog } from '../../../common/daemon/log.ts';
import { until } from '../../support/until.ts';

interface Entry {
  readonly what: string;
}

function filled(count: number, size?: number): Journal<Entry> {
  const journal = new Journal<Entry>(size);
  for (let index = 1; index <= count; index++) journal.record({ what: `thing ${index}` });
  return journal;
}

describe('the routes of a journal', () => {
  async function serve(t: TestContext, journal: Journal<Entry>, options: JournalRouteOptions = {}) {
    const end = new AbortController();
    t.after(() => end.abort());
    const routes = journalRoutes(journal, options);
    const answers = { listen: '127.0.0.1:0', ready: () => null, state: () => ({}), routes };
    const { address, closed } = await serveAdmin(answers, { log: silentLog }, end.signal);
    const target = { listen: address ?? '', control_socket: null };
    return { target, url: `http://${address}/api/v1/events`, end, closed };
  }

  it('answer with the kept entries as JSON', async (t) => {
    const { target } = await serve(t, filled(3));
    const answer = (await readPath(target, '/api/v1/events?since=1', { program: 'test' })) as { events: Entry[] };
    assert.deepEqual(
      answer.events.map(({ what }) => what),
      ['thing 2', 'thing 3'],
    );
  });

  for (const since of ['', 'x', '-1', '1.5']) {
    it(`take since=${since} for all`, async (t) => {
      const { url } = await serve(t, filled(2));
      const answer = (await (await fetch(`${url}?since=${since}`)).json()) as { events: unknown[] };
      assert.equal(answer.events.length, 2);
    });
  }

  it('stream the kept entries and then new ones', async (t) => {
    const journal = filled(2);
    const { target } = await serve(t, journal);
    const end = new AbortController();
    const heard: string[] = [];
    for await (const entry of followStream(target, '/api/v1/events/stream?since=1', { program: 'test' }, end.signal)) {
      heard.push((entry as Entry).what);
      if (heard.length === 1) journal.record({ what: 'new' });
      else end.abort();
    }
    assert.deepEqual(heard, ['thing 2', 'new']);
  });

  it('let a client follow until the daemon ends, which is an error that says so', async (t) => {
    const { target, end } = await serve(t, filled(1));
    const follow = async (): Promise<void> => {
      const { signal } = new AbortController();
      for await (const _ of followStream(target, '/api/v1/events/stream', { program: 'test' }, signal)) end.abort();
    };
    await assert.rejects(follow(), { message: `test at ${target.listen} has ended, or closed this connection` });
  });

  it('let a client give up a stream without heartbeats', async (t) => {
    const { target } = await serve(t, filled(0), { heartbeatMs: 60_000 });
    const follow = async (): Promise<void> => {
      const { signal } = new AbortController();
      const options = { program: 'test', timeoutMs: 200 };
      for await (const _ of followStream(target, '/api/v1/events/stream', options, signal)) assert.fail('nothing came');
    };
    await assert.rejects(follow(), { message: `test at ${target.listen} was silent for 200 ms` });
  });

  it('continue after the last entry of a client that reconnects', async (t) => {
    const { url } = await serve(t, filled(3));
    const response = await fetch(url, { headers: { Accept: 'text/event-stream', 'Last-Event-ID': '2' } });
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    while (!text.includes('thing')) text += Buffer.from((await reader.read()).value ?? []).toString();
    await reader.cancel();
    assert.match(text, /event: hello/);
    assert.deepEqual(text.match(/^id: .*$/gm), ['id: 3']);
  });

  for (const [path, accept] of [
    ['', 'text/event-stream'],
    ['/stream', '*/*'],
  ] as const) {
    it(`answer HEAD on ${path || '/'} for a stream at once, and the next request on the connection`, async (t) => {
      const { url } = await serve(t, filled(1), { maxStreams: 1 });
      const { host, port, pathname } = new URL(`${url}${path}`);
      const socket = connect(Number(port), '127.0.0.1');
      const head = `HEAD ${pathname} HTTP/1.1\r\nHost: ${host}\r\nAccept: ${accept}\r\n\r\n`;
      socket.write(`${head}${head}GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      const text = Buffer.concat(await socket.toArray()).toString();
      assert.deepEqual(text.match(/^HTTP\/1\.1 \d+/gm), ['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 200']);
      assert.match(text, /Content-Type: text\/event-stream[\s\S]*\r\n\r\nok\n$/);
    });
  }

  it('send heartbeats on a silent stream', async (t) => {
    const { url } = await serve(t, filled(0), { heartbeatMs: 5 });
    const reader = ((await fetch(`${url}/stream`)).body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    while (!text.includes(': alive')) text += Buffer.from((await reader.read()).value ?? []).toString();
    await reader.cancel();
  });

  it('refuse one stream too many, and accept it when another one has ended', async (t) => {
    const { url } = await serve(t, filled(0), { maxStreams: 1 });
    const first = await fetch(`${url}/stream`);
    const second = await fetch(`${url}/stream`);
    assert.equal(second.status, 503);
    await second.text();
    await first.body?.cancel();
    await until(async () => {
      const again = await fetch(`${url}/stream`);
      await again.body?.cancel();
      return again.status === 200;
    });
  });

  it('drop a client that does not read', async (t) => {
    const journal = filled(0);
    const { url } = await serve(t, journal, { maxStreams: 1 });
    const slow = await fetch(`${url}/stream`);
    assert.equal(slow.status, 200);
    const what = 'x'.repeat(64 * 1024);
    await until(async () => {
      for (let index = 0; index < 100; index++) journal.record({ what });
      const other = await fetch(`${url}/stream?since=${journal.last}`);
      await other.body?.cancel();
      return other.status === 200;
    });
    await slow.body?.cancel().catch(() => {});
  });

  it('end their streams when the daemon ends', async (t) => {
    const { url, end, closed } = await serve(t, filled(0));
    const response = await fetch(`${url}/stream`);
    end.abort();
    await closed;
    await assert.rejects(response.text());
  });
});
