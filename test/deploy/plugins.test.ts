import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { read } from '../support/docs/all-pages.ts';
import { blocks } from '../support/docs/markdown.ts';
import { testCluster } from '../support/etcd/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { type InstalledPackage, installPackage } from '../support/package/installed-package.ts';
import { startNode } from '../support/process/child-process.ts';
import { root } from '../support/repository.ts';

/** Of the type checker on a busy machine, milliseconds. */
const timeoutMs = 120_000;

/** Where users read how to do it; its examples are what is tried here. */
const page = 'deploy/plugins/README.md';

/** What the service of the examples answers. */
interface Answers {
  queue: number;
  readonly machines: readonly { readonly host: string; readonly port: number }[];
}

async function startService(answers: Answers): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer(({ url }, response) => {
    response.end(url === '/queue' ? String(answers.queue) : JSON.stringify(answers.machines));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

/** Uses the package in a project of its own, as writers of plugins do. */
describe('a project with a check, a source and a resolver in TypeScript', () => {
  let folder: string;
  let project: string;
  let installed: InstalledPackage;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'plugins-test-'));
    installed = await installPackage(folder);
    project = join(installed.modules, '..');
    await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}');
    const text = await read(page);
    const examples = blocks(text, 'ts');
    for (const [index, name] of ['queue', 'inventory', 'enough'].entries()) {
      assert.ok(text.includes(`\`${name}.ts\`.`));
      await writeFile(join(project, `${name}.ts`), examples[index] ?? '');
    }
    const { compilerOptions, ...rest } = JSON.parse(blocks(text, 'json')[0] ?? '');
    // The types of Node that this repository has, instead of those that npm would install.
    const here = { ...compilerOptions, typeRoots: [join(root, 'node_modules/@types')] };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ ...rest, compilerOptions: here }));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const compile = () =>
    exec([process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', project], { timeoutMs, cwd: project });

  it('compiles with strict, without a look away from the declarations of the package', async () => {
    const config = JSON.parse(await readFile(join(project, 'tsconfig.json'), 'utf8'));
    assert.deepEqual([config.compilerOptions.strict, config.compilerOptions.skipLibCheck], [true, undefined]);
    const { code, stdout, stderr } = await compile();
    assert.equal(code, 0, stdout + stderr);
  });

  for (const [what, file, right, wrong, message] of [
    [
      'a check that returns a number',
      'queue',
      'return async (signal)',
      'return (signal: AbortSignal) => 5; async (signal)',
      /not assignable/,
    ],
    [
      'an option of another type',
      'queue',
      "'positive-integer', default: 100",
      "'positive-integer', default: 'x'",
      /not assignable to type 'number/,
    ],
    ['an unknown format', 'inventory', "'positive-duration'", "'positive-time'", /positive-time/],
    ['a state that no instance has', 'inventory', "state: 'up'", "state: 'ready'", /ready/],
    ['a decision without the sources to ask', 'enough', ', ask: names', '', /ask/],
  ] as const) {
    it(`does not compile with ${what}`, async (t) => {
      const path = join(project, `${file}.ts`);
      const text = await readFile(path, 'utf8');
      t.after(() => writeFile(path, text));
      assert.ok(text.includes(right));
      await writeFile(path, text.replace(right, wrong));
      const { code, stdout } = await compile();
      assert.notEqual(code, 0);
      assert.match(stdout, message);
    });
  }

  it('runs in both daemons: the check decides, the resolver chooses the source with enough instances', async (t) => {
    assert.equal((await compile()).code, 0);
    const answers: Answers = {
      queue: 60,
      machines: [
        { host: '127.0.0.1', port: 7002 },
        { host: '127.0.0.1', port: 7003 },
      ],
    };
    const { server, port } = await startService(answers);
    t.after(() => server.close());
    t.after(() => server.closeAllConnections());
    const cluster = await testCluster('3.5', { size: 1 });
    t.after(() => cluster.stopAll());
    const etcd = { hosts: cluster.urls };
    const built = (name: string): string => join(project, 'dist', `${name}.js`);
    const etc = join(folder, 'etc');
    await mkdir(etc);
    const nerveFile = join(etc, 'nerve.json');
    const check = { type: 'module', file: built('queue'), options: { limit: 50 }, interval: 0.1, timeout: 5 };
    await writeFile(
      nerveFile,
      JSON.stringify({
        ...{ instance_id: 'here', etcd, state_file_path: false },
        admin: { listen: `127.0.0.1:${await freePort()}`, control_socket: join(etc, 'nerve.sock') },
        services: { api: { host: '127.0.0.1', port, checks: [check] } },
      }),
    );
    const synapseFile = join(etc, 'synapse.json');
    const inventory = { method: 'inventory', module: built('inventory'), url: `http://127.0.0.1:${port}/machines` };
    const mixed = {
      method: 'multi',
      watchers: { announced: { method: 'etcd', path: '/nerve/services/api' }, inventory },
      resolver: { method: 'enough', module: built('enough'), least: 2 },
    };
    const haproxyFile = join(etc, 'haproxy.cfg');
    await writeFile(
      synapseFile,
      JSON.stringify({
        ...{ etcd, admin: { listen: `127.0.0.1:${await freePort()}` } },
        services: {
          api: { discovery: { method: 'etcd' }, haproxy: { port: await freePort() } },
          mixed: { discovery: mixed, haproxy: { port: await freePort() } },
        },
        haproxy: {
          ...{ global: ['maxconn 10'], defaults: ['mode http'], do_socket: false, do_reloads: false, do_checks: false },
          config_file_path: haproxyFile,
        },
      }),
    );
    const main = (name: string): string => join(installed.folder, 'dist', name, 'main.js');
    const nerve = startNode(t, [main('nerve'), '-c', nerveFile]);
    const synapse = startNode(t, [main('synapse'), '-c', synapseFile]);
    const output = (): string => nerve.errors() + synapse.errors();
    const backend = async (name: string): Promise<string> =>
      (await readFile(haproxyFile, 'utf8').catch(() => '')).split(`\nbackend ${name}\n`)[1]?.split('\nbackend ')[0] ??
      '';

    await eventually(async () => {
      const text = await backend('mixed');
      for (const { port: found } of answers.machines)
        assert.match(text, new RegExp(`127\\.0\\.0\\.1:${found} `), output());
    });
    await eventually(() => assert.match(nerve.errors(), /60 entries wait, more than 50/));
    assert.doesNotMatch(await backend('api'), /\bserver /);
    answers.queue = 20;
    await eventually(async () => assert.match(await backend('api'), new RegExp(`127\\.0\\.0\\.1:${port} `), output()));
    for (const daemon of [nerve, synapse]) {
      daemon.process.kill('SIGTERM');
      assert.equal(await daemon.ended, 0, daemon.errors());
    }
  });
});
