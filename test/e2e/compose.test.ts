import assert from 'node:assert/strict';
import { chown, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { clusterCommand } from '../support/clustercommand.ts';
import { type DockerEngine, startDockerEngine } from '../support/dockerengine.ts';
import { eventually } from '../support/eventually.ts';
import { makeStandIns } from '../support/standins.ts';
import { tempFolder } from '../support/tempfolder.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The port of api on each host. */
const hosts = { a: 50003, b: 51003 } as const;

describe('the compose stack', () => {
  let engine: DockerEngine;

  const run = (files: readonly string[], args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> =>
    engine.docker(['compose', ...files.map((file) => `--file=deploy/${file}`), ...args], {
      cwd: root,
      env: { PUBLISH: '0.0.0.0', ...env },
      timeout: 300_000,
    });
  const compose = (...args: readonly string[]): Promise<string> => run(['docker-compose.yml'], args);

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

  test('with certificates and users, each may do what it must', async (t) => {
    const folder = await tempFolder(t);
    const tls = join(folder, 'tls');
    await compose('down', '--volumes', '--timeout', '1');
    const members = [`etcd-1=etcd-1,${engine.address}`, 'etcd-2=etcd-2', 'etcd-3=etcd-3'];
    const certificates = ['--ca', join(folder, 'ca'), '--out', tls, ...members];
    const made = await clusterCommand('certificates', certificates);
    assert.equal(made.code, 0, made.stderr);
    // As docker-compose.secure.yml says; the number of the user in each image.
    for (const [holder, user] of [['nerve', 10001] as const, ['synapse', 10002] as const]) {
      for (const file of ['.', ...(await readdir(join(tls, holder)))]) await chown(join(tls, holder, file), user, 0);
    }
    const secure = (...args: readonly string[]): Promise<string> =>
      run(['docker-compose.yml', 'docker-compose.secure.yml'], args, { TLS: tls });
    const parts = [
      'etcd-1',
      'etcd-2',
      'etcd-3',
      'api-1',
      'nerve-api-1',
      'api-2',
      'nerve-api-2',
      'synapse-a',
      'haproxy-a',
    ];
    await secure('up', '--detach', '--wait', ...parts);
    const access = { ETCD_HOSTS: `https://${engine.address}:2379`, ETCD_TLS: tls };
    const applied = await clusterCommand('access', [join(root, 'etcd-cluster/access.yaml')], access);
    assert.equal(applied.code, 0, applied.stderr);
    await answers(['api-1', 'api-2'], [hosts.a]);
    await secure('exec', '-T', 'nerve-api-2', 'nerve', 'drain', 'api');
    await answers(['api-1'], [hosts.a]);
    await secure('exec', '-T', 'nerve-api-2', 'nerve', 'undrain', 'api');
    await answers(['api-1', 'api-2'], [hosts.a]);
    // The members themselves are healthy with a certificate that lets nobody read.
    await secure('exec', '-T', 'etcd-1', 'etcdctl', 'endpoint', 'health');
    const reading = secure('exec', '-T', 'etcd-1', 'etcdctl', 'get', '--prefix', '/');
    await assert.rejects(reading, /permission denied/);
  });
});
