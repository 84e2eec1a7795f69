import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { serveAdmin } from '../../../common/admin/admin.ts';
import { silentLog } from '../../../common/daemon/log.ts';
import { eventually } from '../../support/eventually.ts';
import { bytesInUse, countAbortListeners } from '../../support/process/leaks.ts';

const requests = 10_000;
/** Connections that are cut before their answer has been read. */
const cuts = 500;
/** After this many requests, what Node keeps for later requests is there. */
const requestsBefore = 2_000;
/** What a request may leave in memory, in bytes: less than one entry of a map with its key. */
const mostBytesEach = 50;
const paths = ['/healthz', '/readyz', '/metrics', '/api/v1/state', '/no-such-page'];

/** What keeps the process alive, by kind: sockets, timers. */
function resources(): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

describe('the admin server', () => {
  it('keeps as many timers, sockets, abort listeners and bytes after 10,000 requests as before', async (t) => {
    const end = new AbortController();
    const most = countAbortListeners();
    const answers = { ready: () => null, state: () => ({ services: Array.from({ length: 50 }, String) }) };
    const { address } = await serveAdmin({ listen: '127.0.0.1:0', ...answers }, { log: silentLog }, end.signal);
    const [host = '', port = ''] = (address ?? '').split(':');
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    t.after(() => {
      agent.destroy();
      end.abort();
    });

    const ask = async (path: string): Promise<number | undefined> => {
      const sent = request({ host, port, path, agent }).end();
      const [answer] = await once(sent, 'response');
      for await (const _ of answer) {
        // Read to its end, so that the connection can be used again.
      }
      return answer.statusCode;
    };
    const askMany = async (count: number): Promise<void> => {
      const one = async (first: number): Promise<void> => {
        for (let index = first; index < count; index += 4) {
          const path = paths[index % paths.length] ?? '';
          assert.equal(await ask(path), path === '/no-such-page' ? 404 : 200);
        }
      };
      await Promise.all([one(0), one(1), one(2), one(3)]);
    };
    const cut = async (): Promise<void> => {
      const socket = connect(Number(port), host);
      await once(socket, 'connect');
      socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
      socket.resetAndDestroy();
      await once(socket, 'close');
    };

    await askMany(requestsBefore);
    await cut();
    const [before, bytesBefore] = [resources(), bytesInUse()];
    for (let done = 0; done < cuts; done += 1) await cut();
    await askMany(requests);
    await eventually(() => {
      for (const [kind, count] of Object.entries(resources())) {
        const known = before[kind] ?? 0;
        assert.ok(count <= known + 2, `${count} of ${kind}, and ${known} before`);
      }
    });
    let grownBytes = bytesInUse() - bytesBefore;
    if (grownBytes >= requests * mostBytesEach) {
      // What V8 keeps for itself comes once, and may come now. What a request leaves comes again.
      const between = bytesInUse();
      await askMany(requests);
      grownBytes = bytesInUse() - between;
    }
    assert.ok(grownBytes < requests * mostBytesEach, `${grownBytes} bytes more are in use`);
    assert.ok(most() < 20, `one signal had ${most()} abort listeners`);
  });
});
