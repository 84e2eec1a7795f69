import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type DockerEngine, startDockerEngine } from '../support/dockerengine.ts';
import { eventually } from '../support/eventually.ts';
import { makeStandIns } from '../support/standins.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The port of api on each host. */
const hosts = { a: 50003, b: 51003 } as const;

describe('the compose stack', () => {
  let engine: DockerEngine;

  const compose = (...args: readonly string[]): Promise<string> =>
    engine.docker(['compose', '--file', 'deploy/docker-compose.yml', ...args], {
      cwd: root,
      env: { PUBLISH: '0.0.0.0' },
      timeout: 300_000,
    });

  before(async () => {
    engine = await startDockerEngine();
    await makeStandIns(engine);
    await compose('build');
    await compose('up', '--detach', '--wait').catch(async (error) => {
      throw new Error(`${error.message}\n${await compose('logs', '--tail', '5')}`, { cause: error });
    });
  });
  after(() => engine?.stop());

  const ask = async (port: number): Promise<string> => {
    const answer = await fetch(`http://${engine.address}:${port}/`, { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return (await answer.text()).trim();
  };
  /** Exactly these answer on both hosts, and every request is answered. */
  const answers = async (names: readonly string[], ports: readonly number[] = Object.values(hosts)): Promise<void> => {
    for (const port of ports) {
      await eventually(async () => {
        const seen = new Set<string>();
        for (let i = 0; i < 12; i++) seen.add(await ask(port));
        assert.deepEqual([...seen].sort(), names);
      });
    }
  };

  test('both hosts reach both services', async () => {
    await answers(['api-1', 'api-2']);
    await answers(['web-1', 'web-2'], [50004, 51004]);
  });

  test('it is scaled up and down', async () => {
    await compose('--profile', 'more', 'up', '--detach', '--wait');
    await answers(['api-1', 'api-2', 'api-3']);
    await compose('--profile', 'more', 'stop', 'nerve-api-3', 'api-3');
    await answers(['api-1', 'api-2']);
  });

  test('a killed instance is left out until it is back', async () => {
    await compose('kill', 'api-1');
    await answers(['api-2']);
    await compose('start', 'api-1');
    await answers(['api-1', 'api-2']);
  });

  test('a drained instance is left out until it is undrained', async () => {
    await compose('exec', '-T', 'nerve-api-2', 'nerve', 'drain', 'api');
    await answers(['api-1']);
    await compose('exec', '-T', 'nerve-api-2', 'nerve', 'undrain', 'api');
    await answers(['api-1', 'api-2']);
  });

  test('it works with one etcd member down, and changes are still seen', async () => {
    await compose('stop', 'etcd-1');
    await compose('kill', 'api-1');
    await answers(['api-2']);
    await compose('start', 'api-1');
    await answers(['api-1', 'api-2']);
    await compose('start', 'etcd-1');
  });

  test('HAProxy serves on without synapse, and after a restart', async () => {
    await compose('kill', 'synapse-a');
    await answers(['api-1', 'api-2']);
    await compose('restart', 'haproxy-a');
    await answers(['api-1', 'api-2']);
    await compose('start', 'synapse-a');
    await answers(['api-1', 'api-2']);
  });
});
