import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { queryObjects } from 'node:v8';
import { thisHost } from '../../../../common/host.ts';
import {
  connectRuntime as connectWith,
  type RuntimeConnection,
} from '../../../../synapse/haproxy/runtime/connection.ts';

/** A runtime API that answers each line as `answer` says, in pieces of `size` characters. */
async function serve(
  t: TestContext,
  path: string,
  answer: (line: string) => string | undefined,
  size = 1e6,
): Promise<void> {
  const server = createServer((socket: Socket) => {
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const reply = answer(line);
        if (reply === undefined) continue;
        for (let at = 0; at < reply.length; at += size) socket.write(reply.slice(at, at + size));
      }
    });
  });
  await listen(t, server, path);
}

function connectRuntime(path: string, replyTimeoutMs: number, signal: AbortSignal): Promise<RuntimeConnection> {
  return connectWith(path, { connectUnix: thisHost.connectUnix, replyTimeoutMs }, signal);
}

/** Listens until the test is over, however it ends. */
async function listen(t: TestContext, server: Server, path: string): Promise<void> {
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
}

describe('the runtime API connection', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'runtime-test-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const greet = (line: string): string | undefined =>
    line === 'prompt' || line.startsWith('set timeout') ? '\n> ' : undefined;

  for (const size of [1e6, 1, 2, 3, 7]) {
    it(`matches pipelined replies in order when they arrive in pieces of ${size}`, async (t) => {
      const answers: Record<string, string> = {
        a: '\n> ',
        b: 'two\nlines\n\n> ',
        c: 'No such server.\n\n> ',
        d: '> not a prompt\n> ',
      };
      const path = join(folder, `order-${size}.sock`);
      await serve(t, path, (line) => greet(line) ?? answers[line], size);
      const end = new AbortController();
      const connection = await connectRuntime(path, 10_000, end.signal);
      const [first, second] = [connection.send(['a', 'b', 'c']), connection.send(['d', 'a'])];
      assert.deepEqual(await first, ['', 'two\nlines\n', 'No such server.\n']);
      assert.deepEqual(await second, ['> not a prompt', '']);
      end.abort();
      await assert.rejects(connection.send(['a']), /aborted/);
    });
  }

  it('gives up when a reply is late, and rejects everything that waits', async (t) => {
    const path = join(folder, 'late.sock');
    await serve(t, path, greet);
    const connection = await connectRuntime(path, 500, new AbortController().signal);
    const waiting = [connection.send(['show info']), connection.send(['show info'])];
    for (const each of waiting) await assert.rejects(each, /no reply within 500 ms/);
    await assert.rejects(connection.send(['more']), /no reply/);
  });

  it('leaves nothing behind when it pauses, and ends a pause with the connection', async (t) => {
    const path = join(folder, 'pause.sock');
    await serve(t, path, greet);
    const end = new AbortController();
    const connection = await connectRuntime(path, 10_000, end.signal);
    const before = queryObjects(Promise, { format: 'count' });
    for (let count = 0; count < 300; count++) await connection.pause(0);
    const more = queryObjects(Promise, { format: 'count' }) - before;
    assert.ok(more < 100, `${more} promises more after 300 pauses`);
    const pausing = connection.pause(3_600_000);
    end.abort();
    await pausing;
    await connection.pause(3_600_000);
  });

  it('rejects when HAProxy closes the connection, and when nobody listens', async (t) => {
    const path = join(folder, 'closed.sock');
    const server = createServer((socket) => socket.destroy());
    await listen(t, server, path);
    const signal = new AbortController().signal;
    await assert.rejects(connectRuntime(path, 1000, signal), /cannot use HAProxy's runtime API/);
    await assert.rejects(connectRuntime(join(folder, 'none'), 1000, signal), /cannot use HAProxy's runtime API/);
  });
});
