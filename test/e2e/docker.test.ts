import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { assertFails, assertPasses, makeCheck } from '../support/daemons/check.ts';
import { runSource } from '../support/daemons/source-run.ts';
import { eventually } from '../support/eventually.ts';
import { type DockerEngine, startDockerEngine } from '../support/machine/docker-engine.ts';
import { importBusybox } from '../support/machine/docker-images.ts';
import { until } from '../support/until.ts';

describe('with a real Docker engine', () => {
  let engine: DockerEngine;
  let image: string;

  before(async () => {
    engine = await startDockerEngine();
    image = await importBusybox(engine);
  });
  after(() => engine?.stop());

  /** Starts a container that serves HTTP on its port 80. `--init`: it ends at once when it is asked to. */
  const start = async (name: string, ...options: readonly string[]): Promise<void> => {
    const command = ['sh', '-c', 'echo $HOSTNAME >/tmp/index.html; exec httpd -f -h /tmp'];
    await engine.docker([
      'run',
      '--detach',
      '--init',
      '--name',
      name,
      '--hostname',
      name,
      ...options,
      image,
      ...command,
    ]);
  };

  describe("nerve's check", () => {
    const check = (container: string, more: object = {}) =>
      makeCheck('docker', { container, socket: engine.socket, ...more });

    it('follows a container through its life', async () => {
      const alive = await check('alive');
      await assertFails(alive, /there is no such container/);
      await start('alive');
      await assertPasses(alive);
      await assertFails(await check('alive', { require_health: true }), /has no health check/);
      await engine.docker(['pause', 'alive']);
      await assertFails(alive, /state is paused, expected running/);
      await engine.docker(['unpause', 'alive']);
      await assertPasses(alive);
      await engine.docker(['kill', 'alive']);
      await eventually(() => assertFails(alive, /state is exited \(exit code 137\), expected running/));
      await engine.docker(['start', 'alive']);
      await assertPasses(alive);
      await engine.docker(['rm', '--force', 'alive']);
      await assertFails(alive, /there is no such container/);
    });

    it("believes the container's own health check", async () => {
      const command = 'test -e /tmp/well || { echo not well; exit 1; }';
      const options = [
        `--health-cmd=${command}`,
        '--health-interval=100ms',
        '--health-start-interval=100ms',
        '--health-retries=1',
      ];
      await start('moody', ...options, '--health-start-period=1h');
      const moody = await check('moody', { require_health: true });
      await assertFails(moody, /health is starting/);
      await engine.docker(['exec', 'moody', 'touch', '/tmp/well']);
      await eventually(() => assertPasses(moody));
      await engine.docker(['exec', 'moody', 'rm', '/tmp/well']);
      await eventually(() => assertFails(moody, /health is unhealthy: not well/));
      await engine.docker(['rm', '--force', 'moody']);
    });
  });

  it("synapse's source follows containers by events, and the engine through a restart", async () => {
    const options = { host: `unix://${engine.socket}`, label: 'service=api', address: engine.address };
    // It sees changes by events or not at all.
    const run = await runSource('docker', { ...options, check_interval: '1h' });
    const labels = ['--label=service=api', '--restart=unless-stopped'];
    try {
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), []);
      await start('api-1', ...labels, '--publish=8001:80');
      await start('other', '--publish=8003:80');
      await start('api-2', ...labels, '--publish=8002:80');
      const [one, two] = [1, 2].map((number) => `api-${number}_${engine.address}:800${number}`);
      await until(() => run.ids().length === 2);
      assert.deepEqual(run.ids(), [one, two]);
      for (const { host, port, name } of run.sets.at(-1)?.instances ?? []) {
        await eventually(async () => {
          const answer = await fetch(`http://${host}:${port}/`, { signal: AbortSignal.timeout(10_000) });
          assert.equal((await answer.text()).trim(), name);
        });
      }
      await engine.docker(['stop', 'api-1']);
      await until(() => run.ids().join() === two);
      await engine.docker(['start', 'api-1']);
      await until(() => run.ids().join() === [one, two].join());
      await engine.docker(['pause', 'api-2']);
      await until(() => run.ids().join() === one);
      await engine.docker(['unpause', 'api-2']);
      await until(() => run.ids().join() === [one, two].join());

      const before = run.sets.length;
      await engine.restart();
      await until(() => run.ids().join() === [one, two].join() && run.source.status?.().reason === null);
      await engine.docker(['rm', '--force', 'api-2']);
      await until(() => run.ids().join() === one);
      assert.ok(run.sets.length > before);
    } finally {
      await run.stop();
    }
  });

  it('finds containers by their addresses in a network', async () => {
    await engine.docker(['network', 'create', 'back']);
    await start('hidden', '--network=back', '--label=service=hidden');
    const template = '{{.NetworkSettings.Networks.back.IPAddress}}';
    const address = (await engine.docker(['inspect', '--format', template, 'hidden'])).trim();
    const options = { label: 'service=hidden', network: 'back', container_port: 80 };
    const run = await runSource('docker', { host: `unix://${engine.socket}`, ...options });
    try {
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), [`hidden_${address}:80`]);
    } finally {
      await run.stop();
    }
  });
});
