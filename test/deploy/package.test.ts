import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { eventually } from '../support/eventually.ts';
import { startNode } from '../support/process/child-process.ts';
import { root } from '../support/repository.ts';

/** Enough for a slow registry on a busy machine, milliseconds. */
const timeoutMs = 300_000;

/** Uses the result of `npm pack` in an empty folder, as a user does, without the files of the checkout. */
describe('the npm package', () => {
  let folder: string;
  let empty: string;
  let tarball: string;
  let files: readonly string[];
  /** The folder into which npx has installed it. */
  let installed: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'package-test-'));
    empty = join(folder, 'empty');
    await mkdir(empty);
    // Without scripts, because the build exists already, and these tests run from it.
    const argv = ['npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder] as const;
    const { stdout } = await exec(argv, { timeoutMs, cwd: root, maxOutput: 4 * 1024 * 1024 });
    const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
    tarball = join(folder, packed.filename);
    files = packed.files.map(({ path }) => path);
    const version = await npx('synapse', '--version');
    assert.match(version.stdout, /^synapse \d+\.\d+\.\d+\n$/, version.stderr);
    installed = await findInstalled();
  });
  after(async () => {
    if (installed !== undefined) await rm(join(installed, '../..'), { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
  });

  const npx = (...words: string[]) =>
    exec(['npx', '--yes', '--prefer-offline', `--package=${tarball}`, '--', ...words], { timeoutMs, cwd: empty });

  /** npx installs each package in a folder of its cache. */
  async function findInstalled(): Promise<string> {
    const { stdout } = await exec(['npm', 'config', 'get', 'cache'], { timeoutMs });
    const cache = join(stdout.trim(), '_npx');
    for (const name of await readdir(cache)) {
      const text = await readFile(join(cache, name, 'package.json'), 'utf8').catch(() => '');
      if (text.includes(tarball)) return join(cache, name, 'node_modules/smartstack');
    }
    throw new Error(`npx has not installed ${tarball} below ${cache}`);
  }

  it('has the files that users need, and no others', () => {
    const allowed =
      /^(dist\/(common|nerve|synapse)\/.*\.js|dist\/man\/(nerve|synapse)\.1|synapse\/page\/[a-z]+\.(html|css)|package\.json|README\.md|(CHANGELOG|SECURITY)\.md|LICENSE)$/;
    assert.deepEqual(
      files.filter((path) => !allowed.test(path)),
      [],
    );
    for (const path of ['dist/nerve/main.js', 'dist/man/synapse.1', 'synapse/page/index.html']) {
      assert.ok(files.includes(path), path);
    }
  });

  it('has all modules and dependencies that its modules import', async () => {
    const modules = files.filter((path) => /^dist\/.*\.js$/.test(path) && !path.endsWith('/main.js'));
    const script = `for (const path of ${JSON.stringify(modules)}) await import(\`file://${installed}/\${path}\`)`;
    const argv = [process.execPath, '--input-type=module', '--eval', script] as const;
    const { code, stderr } = await exec(argv, { timeoutMs, cwd: empty });
    assert.deepEqual([code, stderr], [0, '']);
  });

  it('validates a configuration, and has its plugins', async () => {
    const file = join(empty, 'nerve.yaml');
    await writeFile(file, 'services: {api: {host: 10.0.0.1, port: 80, checks: [{type: http, uri: /health}]}}\n');
    const check = await npx('nerve', 'check', '-c', file);
    assert.equal(check.code, 0, check.stderr);
    assert.match(check.stdout, /^the configuration is valid: 1 service\napi: announces \/nerve\/services\/api\//);
  });

  it('runs, with its live page', async (t) => {
    const port = await freePort();
    const file = join(empty, 'synapse.json');
    const api = {
      discovery: { method: 'static', servers: [{ host: '127.0.0.1', port: 1 }] },
      haproxy: { port: await freePort() },
    };
    const haproxy = {
      global: ['maxconn 10'],
      defaults: ['mode http'],
      config_file_path: join(empty, 'haproxy.cfg'),
      do_socket: false,
      do_reloads: false,
      do_checks: false,
    };
    await writeFile(file, JSON.stringify({ admin: { listen: `127.0.0.1:${port}` }, services: { api }, haproxy }));
    const synapse = startNode(t, [join(installed, 'dist/synapse/main.js'), '-c', file]);
    await eventually(async () =>
      assert.match(await readFile(join(empty, 'haproxy.cfg'), 'utf8').catch(synapse.errors), /server 127\.0\.0\.1:1 /),
    );
    const page = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(10_000) });
    assert.match(await page.text(), /<!doctype html>/i);
    synapse.process.kill('SIGTERM');
    assert.equal(await synapse.ended, 0, synapse.errors());
  });
});
