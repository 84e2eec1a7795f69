import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../../common/daemon/exec.ts';
import { silentLog } from '../../../common/daemon/log.ts';
import { createEtcdClient } from '../../../common/etcd/client/client.ts';
import { freePortRow } from '../../../etcd-cluster/members/ports.ts';
import { clusterCertificates } from '../../support/etcd/cluster-certificates.ts';
import { clusterCommand } from '../../support/etcd/cluster-command.ts';
import { dump, etcdProgram, put } from '../../support/etcd/etcd.ts';
import { root } from '../../support/repository.ts';
import { listens, startServer } from '../../support/servers/server.ts';
import { tempFolder } from '../../support/temp-folder.ts';

describe('etcd-cluster/local', () => {
  let parent: string;
  let folder: string;
  let path: string;
  const signal = new AbortController();

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'etcd-local-'));
    folder = join(parent, 'cluster');
    path = `${dirname(await etcdProgram('3.5'))}:${process.env.PATH}`;
  });
  after(async () => {
    signal.abort();
    await local('wipe');
    await rm(parent, { recursive: true, force: true });
  });

  const local = (...args: readonly string[]) => clusterCommand('local', [...args, '--dir', folder], { PATH: path });

  /** Runs the command. @returns the state that it prints for each member */
  const states = async (...args: readonly string[]): Promise<readonly string[]> => {
    const { code, stdout, stderr } = await local(...args);
    assert.equal(code, 0, stderr);
    return [...stdout.matchAll(/^etcd\d +\S+ +(\w+)/gm)].map(([, state]) => state as string);
  };
  const assertAllHealthy = (found: readonly string[]): void =>
    assert.deepEqual([...found].sort(), ['healthy', 'healthy', 'leader']);

  it('starts three members that outlive it, and prints their addresses', async () => {
    const port = await freePortRow(9);
    const { code, stdout, stderr } = await local('start', '--port', String(port));
    assert.equal(code, 0, stderr);
    const hosts = /^ETCD_HOSTS=(\S+)$/m.exec(stdout)?.[1] ?? '';
    assert.equal(hosts, [0, 3, 6].map((more) => `http://127.0.0.1:${port + more}`).join());
    assertAllHealthy(await states('status'));
    const client = createEtcdClient({ hosts: hosts.split(',') }, { log: silentLog }, signal.signal);
    await put(client, '/a', '1');
  });

  it('kills, freezes and thaws the named member, and starts members that do not run', async () => {
    const killed = await states('kill', '2');
    assert.equal(killed[1], 'down');
    assert.equal((await states('freeze', 'etcd3'))[2], 'frozen');
    assert.equal((await local('status')).code, 1, 'one of three members has no majority');
    assert.notEqual((await states('thaw', '3'))[2], 'frozen');
    assertAllHealthy(await states('start'));
    assertAllHealthy(await states('start'));
  });

  it('keeps the data from stop to start', async () => {
    await states('freeze', '1');
    assert.deepEqual(await states('stop'), ['down', 'down', 'down']);
    assertAllHealthy(await states('start'));
    const { stdout } = await local('status');
    const hosts = /^ETCD_HOSTS=(\S+)$/m.exec(stdout)?.[1] ?? '';
    const client = createEtcdClient({ hosts: hosts.split(',') }, { log: silentLog }, signal.signal);
    assert.deepEqual(await dump(client, '/'), { '/a': '1' });
  });

  it('uses TLS with certificates from etcd-cluster/certificates', async (t) => {
    const secure = await clusterCertificates(await tempFolder(t));
    const own = ['--dir', join(parent, 'secure')];
    t.after(() => clusterCommand('local', ['wipe', ...own]));
    const options = ['--port', String(await freePortRow(9)), '--tls', secure.folder];
    const { code, stdout, stderr } = await clusterCommand('local', ['start', ...own, ...options], { PATH: path });
    assert.equal(code, 0, stderr);
    const hosts = /^ETCD_HOSTS=(\S+)$/m.exec(stdout)?.[1]?.split(',') ?? [];
    assert.match(hosts[0] ?? '', /^https:/);
    await put(createEtcdClient({ hosts, tls: secure.client('nerve') }, { log: silentLog }, signal.signal), '/a', '1');
  });

  it('does not touch other processes, even with the same arguments as a member', async (t) => {
    const flags = ['--name=etcd1', `--data-dir=${join(folder, 'etcd1/data')}`];
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', ...flags], {
      stdio: 'ignore',
    });
    t.after(() => stranger.kill('SIGKILL'));
    assert.deepEqual((await states('kill', '1'))[0], 'down');
    await states('freeze', '2');
    await writeFile(join(folder, 'notes.txt'), 'mine');
    const { code, stderr } = await local('wipe');
    assert.equal(code, 0, stderr);
    assert.equal(stranger.exitCode ?? stranger.signalCode, null);
    assert.deepEqual(await readdir(folder), ['notes.txt']);
  });

  it('names a port that is in use, and starts no member', async (t) => {
    const port = await freePortRow(9);
    const argv = ['-e', `require('net').createServer().listen(${port + 4}, '127.0.0.1')`];
    const other = await startServer([process.execPath, ...argv], { ready: () => listens(port + 4) });
    t.after(() => other.stop());
    const { code, stderr } = await local('start', '--port', String(port));
    assert.deepEqual([code, stderr], [1, `port ${port + 4} of 127.0.0.1, for etcd2, is in use by another program\n`]);
    assert.deepEqual(await states('stop'), ['down', 'down', 'down']);
    await local('wipe');
  });
});

describe('a command line of etcd-cluster/local', () => {
  const cases: readonly (readonly [args: string, code: number, message: RegExp])[] = [
    ['', 2, /name a command: start, stop, /],
    ['begin', 2, /name a command/],
    ['start now', 2, /name a command/],
    ['stop', 1, /there is no cluster in .*: run 'etcd-cluster\/local start'/],
    ['wipe', 1, /there is no cluster in .*: run 'etcd-cluster\/local start'/],
    ['status --port 1', 2, /--port goes with 'start'/],
    ['start --port x', 2, /--port x: must be a whole number, from 1 to 65527/],
    ['start --prot 1', 2, /Unknown option '--prot'/],
  ];
  for (const [args, expected, message] of cases) {
    it(`ends with ${expected} for '${args}'`, async (t) => {
      const folder = await tempFolder(t);
      const words = args.split(' ').filter((word) => word !== '');
      const { code, stderr } = await clusterCommand('local', [...words, '--dir', folder]);
      assert.equal(code, expected, stderr);
      assert.match(stderr, message);
      assert.deepEqual(await readdir(folder), []);
    });
  }

  it('refuses a folder in which wipe would remove the files of others', async (t) => {
    const secure = await clusterCertificates(await tempFolder(t));
    const { code, stderr } = await clusterCommand('local', ['start', '--dir', secure.folder, '--tls', secure.folder], {
      PATH: `${dirname(await etcdProgram('3.5'))}:${process.env.PATH}`,
    });
    const member = join(secure.folder, 'etcd1');
    assert.deepEqual([code, stderr], [1, `${member} exists and is not the folder of a member: name another folder\n`]);
    assert.equal((await clusterCommand('local', ['wipe', '--dir', secure.folder])).code, 1);
    await access(join(member, 'server.pem'));
  });

  it('names a damaged file in its folder', async (t) => {
    const folder = await tempFolder(t);
    await mkdir(folder, { recursive: true });
    await writeFile(
      join(folder, 'cluster.json'),
      '{"etcd": "/usr/bin/etcd", "token": "x", "members": [{"name": "../.."}]}',
    );
    const { code, stderr } = await clusterCommand('local', ['wipe', '--dir', folder]);
    assert.equal(code, 1);
    assert.match(stderr, /cluster\.json is damaged; remove the folder/);
  });

  it('can be run from a checkout', async () => {
    const script = join(root, 'etcd-cluster/local');
    const { code, stdout, stderr } = await exec([script, '--help'], { timeoutMs: 120_000, cwd: '/' });
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^Usage: etcd-cluster\/local COMMAND/);
  });
});
