import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { DockerClient, DockerRefusal } from '../../../common/net/docker.ts';
import { eventually } from '../../support/eventually.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** An engine on a unix socket that answers every request with `listener`. */
async function engineWith(t: TestContext, listener: RequestListener) {
  const socketPath = join(await tempFolder(t), 'docker.sock');
  const server = createServer(listener).listen(socketPath);
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const connections = async (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_, open) => resolve(open)));
  return { client: new DockerClient({ socketPath }), socketPath, connections };
}

const signal = new AbortController().signal;
const maxBytes = 1000;

describe('the Docker client', () => {
  it('reads JSON, with filters in the query, and leaves no connection open', async (t) => {
    const { client, connections } = await engineWith(t, ({ url }, response) => response.end(JSON.stringify({ url })));
    assert.deepEqual(await client.json({ path: '/x', filters: { label: ['a=b'] } }, { maxBytes }, signal), {
      url: `/x?filters=${encodeURIComponent('{"label":["a=b"]}')}`,
    });
    await eventually(async () => assert.equal(await connections(), 0));
  });

  for (const [title, body, explanation] of [
    ['in JSON', '{"message":"not\\nyou"}', 'not you'],
    ['in plain text', 'go away\n', 'go away'],
    ['not at all', '', ''],
    ['with a message that is no text', '{"message":{"toString":1}}', '{"message":{"toString":1}}'],
  ] as const) {
    it(`reports a status that is not 200 which the engine explains ${title}`, async (t) => {
      const { client } = await engineWith(t, (_, response) => response.writeHead(403).end(body));
      await assert.rejects(client.stream({ path: '/x' }, signal), (error: DockerRefusal) => {
        assert.ok(error instanceof DockerRefusal);
        assert.deepEqual([error.status, error.explanation], [403, explanation]);
        return /^\/x: status 403/.test(error.message);
      });
    });
  }

  it('refuses an answer that is larger than its limit or not JSON', async (t) => {
    const { client } = await engineWith(t, ({ url }, response) => response.end(url === '/big' ? '"1234567890"' : '<'));
    await assert.rejects(client.json({ path: '/big' }, { maxBytes: 5 }, signal), /has more than 5 bytes/);
    await assert.rejects(client.json({ path: '/' }, { maxBytes }, signal), /the engine's answer is not JSON/);
  });

  it('refuses an answer that is nested too deeply', async (t) => {
    const { client } = await engineWith(t, (_, response) => response.end('['.repeat(500)));
    const answer = client.json({ path: '/' }, { maxBytes }, signal);
    await assert.rejects(answer, /the engine's answer is nested more than 32 levels deep/);
  });

  it('ends a request and an open stream when the signal aborts', async (t) => {
    const { client, connections } = await engineWith(t, ({ url }, response) => {
      if (url === '/events') response.writeHead(200).flushHeaders();
    });
    const end = new AbortController();
    const stream = await client.stream({ path: '/events' }, end.signal);
    const answer = client.json({ path: '/mute' }, { maxBytes }, end.signal);
    const ended = once(stream, 'error');
    end.abort();
    await assert.rejects(answer, { name: 'AbortError' });
    await ended;
    await eventually(async () => assert.equal(await connections(), 0));
  });

  it('shows its address as a path or HOST:PORT', () => {
    assert.equal(new DockerClient({ socketPath: '/run/docker.sock' }).where, '/run/docker.sock');
    assert.equal(new DockerClient({ host: 'engine', port: 2375 }).where, 'engine:2375');
  });
});
