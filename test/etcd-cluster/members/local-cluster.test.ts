import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { directClient, dump, etcdProgram, etcdVersions, put, testCluster } from '../../support/etcd/etcd.ts';
import { eventually } from '../../support/eventually.ts';
import { builtModule, root } from '../../support/repository.ts';
import { tempFolder } from '../../support/temp-folder.ts';

for (const version of etcdVersions) {
  describe(`a local cluster of etcd ${version}`, () => {
    it('starts, survives the loss of a member, restarts, is replaced and leaves nothing behind', async () => {
      const cluster = await testCluster(version);
      const signal = new AbortController();
      try {
        assert.equal(cluster.members.length, 3);
        const client = directClient(cluster, signal.signal);
        await put(client, '/a', '1');
        const leader = await cluster.leader();
        await leader.kill();
        assert.equal(leader.status, 'stopped');
        assert.notEqual(await cluster.leader(), leader);
        await put(client, '/b', '2');
        await leader.start();
        await cluster.restartAll();
        assert.deepEqual(await dump(client, '/'), { '/a': '1', '/b': '2' });
        await cluster.recreate();
        assert.deepEqual(await dump(client, '/'), {});
      } finally {
        signal.abort();
        await cluster.stopAll();
      }
      for (const { folder, status } of cluster.members) {
        assert.equal(status, 'stopped');
        assert.ok(!existsSync(folder), folder);
      }
    });
  });
}

describe('a local cluster whose etcd ends at once', () => {
  it('fails with the end of its output', async (t) => {
    const folder = await tempFolder(t);
    const etcd = join(folder, 'etcd');
    const script =
      '#!/bin/sh\n[ "$1" != --version ] || { echo "etcd Version: 3.5.30"; exit; }\necho no luck >&2\nexit 1\n';
    await writeFile(etcd, script, { mode: 0o755 });
    const dataDir = join(folder, 'data');
    await assert.rejects(startCluster({ etcd, dataDir }), /etcd member etcd1 ended at once; the end of .*:\nno luck$/);
    assert.deepEqual(await readdir(dataDir), []);
  });
});

describe('a member of a local cluster', () => {
  it('does not outlive the process that started it, even when it is frozen', async () => {
    const module = builtModule('etcd-cluster/members/local-cluster.js');
    const dataDir = `/tmp/etcd-orphan-${process.pid}`;
    const script = `
    import { startCluster } from ${JSON.stringify(module)};
    const cluster = await startCluster({ size: 2, etcd: ${JSON.stringify(await etcdProgram('3.5'))}, dataDir: ${JSON.stringify(dataDir)} });
    cluster.members[0].freeze();
    console.log('ready');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: root,
    });
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      assert.equal(membersBelow(dataDir), 2);
      child.kill('SIGKILL');
      await eventually(() => assert.equal(membersBelow(dataDir), 0));
    } finally {
      child.kill('SIGKILL');
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});

/** The number of processes whose data folder is below `dataDir`. */
function membersBelow(dataDir: string): number {
  return processIds().filter((pid) => commandLine(pid).includes(`--data-dir=${dataDir}/`)).length;
}

function processIds(): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // It ended meanwhile.
    return '';
  }
}
