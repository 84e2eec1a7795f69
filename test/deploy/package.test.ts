import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { nerveProgram } from '../../nerve/whole-program.ts';
import { synapseProgram } from '../../synapse/whole-program.ts';
import { testCluster } from '../support/etcd/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { type InstalledPackage, installPackage, sizeOf } from '../support/package/installed-package.ts';
import { startNode } from '../support/process/child-process.ts';

/** Enough for a command on a busy machine, milliseconds. */
const timeoutMs = 60_000;

/** The most that the package may take when it is installed, with the clients of all services and sources. */
const mostBytes = 12 * 1024 * 1024;

/** Uses the published package in an empty folder, as a user does, without the files and the packages of the checkout. */
describe('the npm package', () => {
  let folder: string;
  let installed: InstalledPackage;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'package-test-'));
    installed = await installPackage(folder);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const run = (name: 'nerve' | 'synapse', ...words: string[]) =>
    exec([join(installed.modules, '.bin', name), ...words], { timeoutMs, cwd: folder, maxOutput: 1024 * 1024 });

  const mainOf = (name: 'nerve' | 'synapse'): string => join(installed.folder, 'dist', name, 'main.js');

  async function evaluate(script: string) {
    return exec([process.execPath, '--input-type=module', '--eval', script], { timeoutMs, cwd: folder });
  }

  it('has the files that users need, and no others', () => {
    const allowed =
      /^(dist\/(chunks|nerve|synapse)\/.*\.js(\.map)?|dist\/etcd\/rpc\.json|dist\/man\/(nerve|synapse)\.1|synapse\/page\/[a-z]+\.(html|css)|schemas\/(nerve|synapse)(-service)?\.schema\.json|types\/.*\.d\.ts|package\.json|(README|CHANGELOG|SECURITY)\.md|LICENSE|THIRD-PARTY-LICENSES\.txt)$/;
    assert.deepEqual(
      installed.files.filter((path) => !allowed.test(path)),
      [],
    );
    for (const path of [
      'dist/nerve/main.js',
      'dist/man/synapse.1',
      'schemas/nerve.schema.json',
      'synapse/page/index.html',
      'README.md',
    ]) {
      assert.ok(installed.files.includes(path), path);
    }
  });

  it('needs no other package, and no more than 12 MB', async () => {
    assert.deepEqual(
      (await readdir(installed.modules)).filter((name) => !name.startsWith('.')),
      ['smartstack'],
    );
    const bytes = await sizeOf(installed.modules);
    assert.ok(bytes < mostBytes, `${bytes} bytes`);
  });

  it('says what it is, and may be published', async () => {
    const manifest = JSON.parse(await readFile(join(installed.folder, 'package.json'), 'utf8'));
    assert.equal(manifest.private, undefined);
    assert.deepEqual(Object.keys(manifest.bin), ['nerve', 'synapse']);
    assert.ok(manifest.keywords.length > 0);
    assert.deepEqual(Object.keys(manifest.exports), [
      ...['./check', './source', './resolver', './schemas/*', './package.json'],
    ]);
  });

  it('names the libraries in it, with their licences', async () => {
    const text = await readFile(join(installed.folder, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    for (const name of ['etcd3', 'undici', 'winston', 'convict', 'mustache', '@grpc/grpc-js', '@aws-sdk/client-ec2']) {
      assert.match(text, new RegExp(`^${name.replace('/', '\\/')} \\d+\\.\\d+\\.\\d+.* \\(.+\\)$`, 'm'));
    }
    assert.doesNotMatch(text, /^(?:rolldown|typescript|playwright-core) /m);
  });

  it('has the modules that each of its files imports', async () => {
    const modules = installed.files.filter((path) => /^dist\/.*\.js$/.test(path) && !/main\.js$/.test(path));
    assert.ok(modules.length > 30);
    const paths = modules.map((path) => join(installed.folder, path));
    const { code, stderr } = await evaluate(`for (const path of ${JSON.stringify(paths)}) await import(path)`);
    assert.deepEqual([code, stderr], [0, '']);
  });

  for (const program of [nerveProgram, synapseProgram]) {
    for (const [command, { summary, hidden }] of Object.entries(program.commands)) {
      if (hidden) continue;
      it(`loads the command ${program.name} ${command}`, async () => {
        const { code, stdout, stderr } = await run(program.name, command, '--help');
        assert.equal(code, 0, stderr);
        assert.ok(stdout.replace(/\s+/g, ' ').includes(summary.replace(/\s+/g, ' ')), stdout);
      });
    }

    it(`describes every plugin of ${program.name}`, async () => {
      const { stdout } = await run(program.name, 'complete', 'plugin');
      const names = stdout.trim().split('\n');
      assert.ok(names.includes(program.name === 'nerve' ? 'http' : 'etcd'), stdout);
      for (const name of names) {
        const { code, stderr } = await run(program.name, 'describe', name);
        assert.deepEqual([code, stderr], [0, ''], name);
      }
    });
  }

  for (const type of ['http', 'tcp', 'tls', 'grpc', 'redis', 'mysql', 'postgres', 'rabbitmq']) {
    it(`contains the client of the check ${type}`, async () => {
      const port = await freePort();
      const path = join(installed.folder, `dist/nerve/checks/${type}.js`);
      const script = `
        const { check } = await import(${JSON.stringify(path)});
        const options = Object.fromEntries(Object.entries(check.schema).map(([key, { default: value }]) => [key, value]));
        const probe = check.create(options, { service: 'api', host: '127.0.0.1', port: ${port} }, {});
        await probe(AbortSignal.timeout(20_000)).then(() => console.log('passed'), (error) => console.log(error.message));
        process.exit();`;
      const { stdout, stderr } = await evaluate(script);
      // Nothing listens there, and the client says so.
      assert.match(stdout, /ECONNREFUSED|connection refused/i, stderr);
    });
  }

  it('shows lines of the sources in a stack trace, with --enable-source-maps', async () => {
    const path = join(installed.folder, 'dist/nerve/checks/module.js');
    const script = `
      const { check } = await import(${JSON.stringify(path)});
      try { check.schema.file.format('relative.js'); } catch (error) { console.log(error.stack); }`;
    const argv = [process.execPath, '--enable-source-maps', '--input-type=module', '--eval', script] as const;
    const { stdout } = await exec(argv, { timeoutMs, cwd: folder });
    assert.match(stdout, /nerve\/checks\/module\.ts:\d+:\d+/);
  });

  it('announces with a check of the user, and takes the instance into haproxy.cfg', async (t) => {
    const cluster = await testCluster('3.5', { size: 1 });
    t.after(() => cluster.stopAll());
    const etcd = { hosts: cluster.urls };
    const check = join(folder, 'queue.mjs');
    await writeFile(check, 'export const check = { create: () => async () => {} };');
    const service = { host: '127.0.0.1', port: 7001, checks: [{ type: 'module', file: check, interval: 0.1 }] };
    const socket = join(folder, 'nerve.sock');
    const nerveFile = join(folder, 'nerve.yaml');
    const admin = { listen: `127.0.0.1:${await freePort()}`, control_socket: socket };
    const nerveConfig = { instance_id: 'here', etcd, admin, state_file_path: false, services: { api: service } };
    await writeFile(nerveFile, JSON.stringify(nerveConfig));
    const nerve = startNode(t, [mainOf('nerve'), '-c', nerveFile]);

    const source = join(folder, 'source.mjs');
    // It hands on what one of synapse's own sources has, so it needs nothing of the package.
    const own = join(installed.folder, 'dist/synapse/discovery/sources/static.js');
    await writeFile(source, `export { source } from ${JSON.stringify(own)};`);
    const port = await freePort();
    const synapseFile = join(folder, 'synapse.yaml');
    const haproxy = {
      ...{ global: ['maxconn 10'], defaults: ['mode http'], do_socket: false, do_reloads: false, do_checks: false },
      config_file_path: join(folder, 'haproxy.cfg'),
    };
    const api = { discovery: { method: 'etcd' }, haproxy: { port: await freePort() } };
    const servers = [{ host: '127.0.0.1', port: 7002 }];
    const other = { discovery: { method: 'mine', module: source, servers }, haproxy: { port: await freePort() } };
    const listen = `127.0.0.1:${port}`;
    await writeFile(synapseFile, JSON.stringify({ etcd, admin: { listen }, services: { api, other }, haproxy }));
    const synapse = startNode(t, [mainOf('synapse'), '-c', synapseFile]);
    await eventually(async () => {
      const text = await readFile(join(folder, 'haproxy.cfg'), 'utf8').catch(() => '');
      for (const found of [/server \S+ 127\.0\.0\.1:7001 /, /server \S+ 127\.0\.0\.1:7002 /]) {
        assert.match(text, found, nerve.errors() + synapse.errors());
      }
    });
    assert.equal((await stat(socket)).isSocket(), true);
    const status = await run('nerve', 'status', '-c', nerveFile);
    assert.match(status.stdout, /^nerve \S+: ready$/m, status.stderr);
    const shown = await run('synapse', 'status', '-c', synapseFile);
    assert.match(shown.stdout, /127\.0\.0\.1:7001/, shown.stderr);
    const page = await fetch(`http://${listen}/`, { signal: AbortSignal.timeout(10_000) });
    assert.match(await page.text(), /<!doctype html>/i);
    const script = await fetch(`http://${listen}/synapse/page/main.js`, { signal: AbortSignal.timeout(10_000) });
    assert.equal(script.status, 200);
    assert.doesNotMatch(await script.text(), /^import /m);
    for (const daemon of [nerve, synapse]) {
      daemon.process.kill('SIGTERM');
      assert.equal(await daemon.ended, 0, daemon.errors());
    }
  });
});
