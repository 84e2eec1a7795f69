import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { queryObjects } from 'node:v8';
import { thisHost } from '../../../../common/host.ts';
import {
  connectRuntime as connectWith,
  type RuntimeConnection,
} from '../../../../synapse/haproxy/runtime/connection.ts';
import { fakeRuntime, greeting } from '../../../support/haproxy/fake-runtime.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

function connectRuntime(path: string, replyTimeoutMs: number, signal: AbortSignal): Promise<RuntimeConnection> {
  return connectWith(path, { connectUnix: thisHost.connectUnix, replyTimeoutMs }, signal);
}

describe('a runtime API connection', () => {
  for (const size of [1e6, 1, 2, 3, 7]) {
    it(`matches pipelined replies in order when they arrive in pieces of ${size}`, async (t) => {
      const answers: Record<string, string> = {
        a: '\n> ',
        b: 'two\nlines\n\n> ',
        c: 'No such server.\n\n> ',
        d: '> not a prompt\n> ',
      };
      const answer = (line: string) => greeting(line) ?? answers[line];
      const { path } = await fakeRuntime(t, { answer, pieceSize: size });
      const end = new AbortController();
      const connection = await connectRuntime(path, 10_000, end.signal);
      const [first, second] = [connection.send(['a', 'b', 'c']), connection.send(['d', 'a'])];
      assert.deepEqual(await first, ['', 'two\nlines\n', 'No such server.\n']);
      assert.deepEqual(await second, ['> not a prompt', '']);
      end.abort();
      await assert.rejects(connection.send(['a']), /aborted/);
    });
  }

  it('ends when a reply is late, and rejects all commands that wait for replies', async (t) => {
    const { path } = await fakeRuntime(t, { answer: greeting });
    const connection = await connectRuntime(path, 500, new AbortController().signal);
    const waiting = [connection.send(['show info']), connection.send(['show info'])];
    for (const each of waiting) await assert.rejects(each, /no reply within 500 ms/);
    await assert.rejects(connection.send(['more']), /no reply/);
  });

  it('leaks no promises when it pauses, and ends a pause with the connection', async (t) => {
    const { path } = await fakeRuntime(t, { answer: greeting });
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

  it('cannot be opened when HAProxy closes it, or when no process listens', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'closed.sock');
    const server = createServer((socket) => socket.destroy());
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const signal = new AbortController().signal;
    await assert.rejects(connectRuntime(path, 1000, signal), /cannot use HAProxy's runtime API/);
    await assert.rejects(connectRuntime(join(folder, 'none'), 1000, signal), /cannot use HAProxy's runtime API/);
  });
});
