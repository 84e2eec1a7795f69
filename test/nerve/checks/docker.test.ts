import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { assertFails, assertGivesUp, assertPasses, makeCheck } from '../../support/daemons/check.ts';
import { eventually } from '../../support/eventually.ts';
import { peers, startPeer } from '../../support/servers/bad-peers.ts';

/** State of a container as Docker 20 to 28 and Podman describe it in GET /containers/NAME/json. */
const running = { Status: 'running', Running: true, Paused: false, Restarting: false, ExitCode: 0 };
const log = [{ Output: 'curl: (7) old' }, { ExitCode: 1, Output: 'curl: (7)\nFailed to connect\n' }];
const containers: Readonly<Record<string, unknown>> = {
  web: running,
  healthy: { ...running, Health: { Status: 'healthy', Log: log } },
  none: { ...running, Health: { Status: 'none', Log: null } },
  starting: { ...running, Health: { Status: 'starting', Log: [] } },
  sick: { ...running, Health: { Status: 'unhealthy', Log: log } },
  dead: { ...running, Status: 'exited', Running: false, ExitCode: 137, Health: { Status: 'unhealthy' } },
  asleep: { ...running, Status: 'paused', Paused: true },
  looping: { ...running, Status: 'restarting', Restarting: true },
};

describe('the docker check', () => {
  let folder = '';
  let socket = '';
  let engine: Server;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-docker-test-'));
    socket = join(folder, 'docker.sock');
    engine = createServer((request, response) => {
      const name = /^\/containers\/([^/]+)\/json$/.exec(request.url ?? '')?.[1] ?? '';
      response.setHeader('content-type', 'application/json');
      if (name === 'forbidden') {
        response.statusCode = 403;
        response.end(JSON.stringify({ message: 'authorization denied by plugin\nask root' }));
        return;
      }
      if (name === 'garbage') {
        response.end('<html>');
        return;
      }
      const state = containers[name];
      if (state === undefined) response.statusCode = 404;
      response.end(JSON.stringify(state ? { Id: 'abc', State: state } : { message: `No such container: ${name}` }));
    }).listen(socket);
    await once(engine, 'listening');
  });
  after(async () => {
    engine.closeAllConnections();
    engine.close();
    await rm(folder, { recursive: true, force: true });
  });

  const cases: readonly (readonly [title: string, container: string, reason: RegExp | null])[] = [
    ['passes a container that runs and has no health check', 'web', null],
    ['passes a container whose health check was switched off', 'none', null],
    ['passes a container whose health check reports healthy', 'healthy', null],
    ['fails a container whose health check has no result yet', 'starting', /^container starting: health is starting$/],
    [
      'fails an unhealthy container, with the output of its health check',
      'sick',
      /: health is unhealthy: curl: \(7\) Failed/,
    ],
    [
      'fails a container that has exited',
      'dead',
      /^container dead: state is exited \(exit code 137\), expected running$/,
    ],
    ['fails a paused container', 'asleep', /^container asleep: state is paused, expected running$/],
    ['fails a container that is restarting', 'looping', /: state is restarting, expected running$/],
    ['fails when the container does not exist', 'nobody', /^container nobody: there is no such container$/],
    [
      'fails when the engine refuses the request',
      'forbidden',
      /: HTTP 403 from the engine: authorization denied by plugin ask/,
    ],
    [
      'fails when the engine answers something other than JSON',
      'garbage',
      /^container garbage: the engine's answer is not JSON$/,
    ],
  ];
  for (const [title, container, reason] of cases) {
    it(title, async () => {
      const check = await makeCheck('docker', { container, socket });
      if (reason === null) await assertPasses(check);
      else await assertFails(check, reason);
    });
  }

  it('fails a container without a health check when one is required', async () => {
    await assertFails(
      await makeCheck('docker', { container: 'web', socket, require_health: true }),
      /: the container has no health check$/,
    );
    await assertPasses(await makeCheck('docker', { container: 'healthy', socket, require_health: true }));
  });

  it('fails when no engine listens', async () => {
    const check = await makeCheck('docker', { container: 'web', socket: join(folder, 'none.sock') });
    await assertFails(check, /^container web: no answer from the engine at .*none\.sock: no such file$/);
  });

  it('refuses a container that is a path', async () => {
    await assert.rejects(makeCheck('docker', { container: '../images' }), /container: must be the name or id/);
  });

  it('gives up on a mute engine at the deadline and at an abort', async () => {
    const path = join(folder, 'mute.sock');
    const mute = await startPeer(peers['a mute peer'] ?? assert.fail(), path);
    try {
      await assertGivesUp(await makeCheck('docker', { container: 'web', socket: path }));
      await eventually(() => assert.equal(mute.open, 0));
    } finally {
      await mute.close();
    }
  });
});
