import assert from 'node:assert/strict';
import { chmod, chown, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { clusterCommand } from '../support/etcd/cluster-command.ts';
import { eventually } from '../support/eventually.ts';
import { makeStandIns } from '../support/machine/base-images.ts';
import { type DockerEngine, startDockerEngine } from '../support/machine/docker-engine.ts';
import { root } from '../support/repository.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** The port of api on each host. */
const hosts = { a: 50003, b: 51003 } as const;

describe('the compose stack', () => {
  let engine: DockerEngine;

  const run = (files: readonly string[], args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> =>
    engine.docker(['compose', ...files.map((file) => `--file=deploy/${file}`), ...args], {
      cwd: root,
      env: { PUBLISH: '0.0.0.0', ...env },
      timeoutMs: 300_000,
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
  /** What there is to see when a test fails. */
  const facts = async (): Promise<string> => {
    const read = (service: string, ...args: readonly string[]): Promise<string> =>
      compose('exec', '-T', service, ...args).catch((error) => `${service}: ${error.message}\n`);
    return [
      await compose('ps', '--all'),
      ...(await Promise.all(
        ['a', 'b'].flatMap((host) => [
          read(`haproxy-${host}`, 'cat', '/etc/haproxy/haproxy.cfg'),
          read(`haproxy-${host}`, 'haproxy-cli', '@1 show servers state'),
        ]),
      )),
      await compose('logs', '--tail', '40', 'synapse-a', 'haproxy-a', 'nerve-api-1', 'nerve-api-2'),
    ].join('\n');
  };
  /** Exactly these answer on both hosts, and every request is answered. */
  const answers = async (names: readonly string[], ports: readonly number[] = Object.values(hosts)): Promise<void> => {
    for (const port of ports) {
      await eventually(async () => {
        const seen = new Set<string>();
        for (let i = 0; i < 12; i++) seen.add(await ask(port));
        assert.deepEqual([...seen].sort(), names);
      }).catch(async (error) => {
        throw new Error(`${error.message}\n${await facts()}`, { cause: error });
      });
    }
  };

  it('lets both hosts reach both services', async () => {
    await answers(['api-1', 'api-2']);
    await answers(['web-1', 'web-2'], [50004, 51004]);
  });

  it('is scaled up and down', async () => {
    await compose('--profile', 'more', 'up', '--detach', '--wait');
    await answers(['api-1', 'api-2', 'api-3']);
    await compose('--profile', 'more', 'stop', 'nerve-api-3', 'api-3');
    await answers(['api-1', 'api-2']);
  });

  it('leaves a killed instance out until it is back', async () => {
    await compose('kill', 'api-1');
    await answers(['api-2']);
    await compose('start', 'api-1');
    await answers(['api-1', 'api-2']);
  });

  it('leaves a drained instance out until it is undrained', async () => {
    await compose('exec', '-T', 'nerve-api-2', 'nerve', 'drain', 'api');
    await answers(['api-1']);
    await compose('exec', '-T', 'nerve-api-2', 'nerve', 'undrain', 'api');
    await answers(['api-1', 'api-2']);
  });

  it('sees changes while one etcd member is down', async () => {
    await compose('stop', 'etcd-1');
    await compose('kill', 'api-1');
    await answers(['api-2']);
    await compose('start', 'api-1');
    await answers(['api-1', 'api-2']);
    await compose('start', 'etcd-1');
  });

  it('serves through HAProxy while synapse is down, and after its restart', async () => {
    await compose('kill', 'synapse-a');
    await answers(['api-1', 'api-2']);
    await compose('restart', 'haproxy-a');
    await answers(['api-1', 'api-2']);
    await compose('start', 'synapse-a');
    await answers(['api-1', 'api-2']);
  });

  it('is reached through a unix socket by an application without a network', async () => {
    const ask = `use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => "/run/haproxy/api.sock") or die $!;
      print $s "GET / HTTP/1.0\\r\\n\\r\\n"; print <$s>;`;
    const locked = ['--network=none', '--read-only', '--cap-drop=ALL', '--user=12345:12345'];
    const mount = ['--volume=smartstack_haproxy-a-run:/run/haproxy:ro', '--entrypoint=perl'];
    const answer = await engine.docker(['run', '--rm', ...locked, ...mount, 'smartstack-haproxy', '-e', ask]);
    assert.match(answer, /^HTTP\/1\.[01] 200 OK\r\n(?:.+\r\n)*\r\napi-[12]\n$/);
  });

  it('runs our containers as ordinary users without capabilities, on a read-only root', async () => {
    for (const name of ['nerve-api-1', 'synapse-a', 'haproxy-a']) {
      const id = (await compose('ps', '--quiet', name)).trim();
      const format = '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.Config.User}}';
      assert.match(await engine.docker(['inspect', '--format', format, id]), /^true \[ALL\] \d+:\d+\n$/);
      await assert.rejects(engine.docker(['exec', id, 'touch', '/planted']), /Read-only file system/);
    }
  });

  it('works with certificates and a user with least rights for each daemon', async (t) => {
    const folder = await tempFolder(t);
    const tls = join(folder, 'tls');
    await compose('down', '--volumes', '--timeout', '1');
    const members = [`etcd-1=etcd-1,${engine.address}`, 'etcd-2=etcd-2', 'etcd-3=etcd-3'];
    const accessFile = join(root, 'etcd-cluster/access.yaml');
    const certificates = ['--ca', join(folder, 'ca'), '--out', tls, '--access', accessFile, ...members];
    const made = await clusterCommand('certificates', certificates);
    assert.equal(made.code, 0, made.stderr);
    // As docker-compose.secure.yml says; the number of the user in each image.
    for (const [holder, user] of [['nerve-api', 10001] as const, ['synapse', 10002] as const]) {
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
    const applied = await clusterCommand('access', [accessFile], access);
    assert.equal(applied.code, 0, applied.stderr);
    await answers(['api-1', 'api-2'], [hosts.a]);
    await secure('exec', '-T', 'nerve-api-2', 'nerve', 'drain', 'api');
    await answers(['api-1'], [hosts.a]);
    await secure('exec', '-T', 'nerve-api-2', 'nerve', 'undrain', 'api');
    await answers(['api-1', 'api-2'], [hosts.a]);
    // The members themselves are healthy with a certificate that may read no data.
    await secure('exec', '-T', 'etcd-1', 'etcdctl', 'endpoint', 'health');
    const reading = secure('exec', '-T', 'etcd-1', 'etcdctl', 'get', '--prefix', '/');
    await assert.rejects(reading, /permission denied/);
  });

  it("builds from a Dockerfile that passes Docker's linter", async () => {
    await engine.docker(['build', '--check', '--file', 'deploy/Dockerfile', '.'], { cwd: root });
    const planted = engine.docker(['build', '--check', '-'], { input: 'FROM busybox:1.37.0 AS Stage\n' });
    await assert.rejects(planted, 'it does find something');
  });

  describe('with folders of the host', () => {
    const makeFolder = async (t: TestContext): Promise<string> => {
      const folder = await tempFolder(t);
      await chmod(folder, 0o755);
      t.after(() => engine.docker(['rm', '--force', 'mounted']));
      return folder;
    };
    const start = (...options: readonly string[]): Promise<string> =>
      engine.docker([
        ...['run', '--detach', '--name=mounted', '--read-only', '--tmpfs=/run/haproxy:uid=99', ...options],
        'smartstack-haproxy',
      ]);

    it('starts haproxy with a folder that is empty at first', async (t) => {
      const folder = await makeFolder(t);
      await chown(folder, 99, 99);
      await start(`--volume=${folder}:/etc/haproxy`);
      await eventually(async () =>
        assert.match(await engine.docker(['exec', 'mounted', 'haproxy-cli', '@1 show info']), /^Name: HAProxy$/m),
      );
    });

    it('reloads through haproxy-watch when the file changes, and refuses a file that HAProxy cannot load', async (t) => {
      const folder = await makeFolder(t);
      const file = join(folder, 'haproxy.cfg');
      const config = (text: string): string =>
        `defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n` +
        `frontend hello\n  bind :8080\n  http-request return content-type text/plain string ${text}\n`;
      const says = (text: string) => eventually(async () => assert.equal(await ask(8090), text));
      const logs = (text: string) =>
        eventually(async () => {
          const said = await engine.docker(['logs', 'mounted'], { both: true });
          assert.ok(said.includes(text), said);
        });
      await start('--entrypoint=haproxy-watch', '--publish=8090:8080', `--volume=${folder}:/etc/haproxy:ro`);
      await logs('serves nothing');
      await writeFile(file, config('one'));
      await says('one');
      // Two writes that follow each other closely, in place and by a rename within the folder: none is lost.
      await writeFile(file, config('two'));
      await writeFile(`${file}.tmp`, config('three'));
      await rename(`${file}.tmp`, file);
      await says('three');
      await writeFile(file, `${config('four')}  nonsense\n`);
      await logs('is refused, the last good one stays');
      assert.equal(await ask(8090), 'three');
      await writeFile(file, config('five'));
      await says('five');
      await engine.docker(['stop', '--time=30', 'mounted']);
      assert.equal((await engine.docker(['inspect', '--format={{.State.ExitCode}}', 'mounted'])).trim(), '0');
    });
  });
});
