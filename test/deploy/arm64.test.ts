import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { findPackages, unpackPackages } from '../../deploy/tools/debian/programs.ts';
import type { LocalCluster } from '../../etcd-cluster/members/local-cluster.ts';
import { programPath } from '../support/daemons/daemon.ts';
import { directClient, dump, testCluster } from '../support/etcd/etcd.ts';
import { eventually, patienceMs } from '../support/eventually.ts';
import { nodePackages } from '../support/machine/node-packages.ts';
import { type HealthServer, startHealthServer } from '../support/servers/health-server.ts';

// What is built here, with Node for arm64, which qemu runs. On such a machine all tests do that.
describe('nerve and synapse on arm64', { skip: process.arch === 'arm64' && 'this machine is arm64' }, () => {
  const end = new AbortController();
  let node: readonly [string, ...string[]];
  let cluster: LocalCluster;
  let service: HealthServer;
  let folder: string;

  before(async () => {
    const qemu = await findPackages('qemu-user-static', ['qemu-user-static']);
    const root = await unpackPackages('trixie', ['base-files', 'libstdc++6'], { at: '/', architecture: 'arm64' });
    const program = join(await nodePackages('arm64'), 'node/bin/node');
    node = [join(qemu, 'usr/bin/qemu-aarch64-static'), '-L', root, program];
    cluster = await testCluster('3.5', { size: 1 });
    service = await startHealthServer();
    folder = await mkdtemp(join(tmpdir(), 'smartstack-arm64-'));
  });
  after(async () => {
    end.abort();
    await service?.close();
    await cluster?.stopAll();
    await rm(folder, { recursive: true, force: true });
  });

  it('announce an instance in etcd and render a configuration with it', async () => {
    const machine = await exec([...node, '-p', 'process.arch'], { timeoutMs: patienceMs });
    assert.equal(machine.stdout, 'arm64\n', machine.stderr);
    const key = `i-1_127.0.0.1:${service.port}`;
    const etcd = { hosts: cluster.urls };
    const api = { host: '127.0.0.1', port: service.port, checks: [{ type: 'http', uri: '/health', timeout: '10s' }] };
    const nerveFile = join(folder, 'nerve.json');
    // The key outlives nerve until synapse has started, which takes minutes under emulation on a busy machine.
    await writeFile(
      nerveFile,
      JSON.stringify({ instance_id: 'i-1', ttl: 600, etcd, admin: { listen: false }, services: { api } }),
    );
    const nerve = spawn(node[0], [...node.slice(1), programPath('nerve'), '-c', nerveFile], { stdio: 'ignore' });
    try {
      const client = directClient(cluster, end.signal);
      await eventually(
        async () =>
          assert.deepEqual(Object.keys(await dump(client, '/nerve/services/')), [`/nerve/services/api/${key}`]),
        2 * patienceMs,
      );
    } finally {
      nerve.kill('SIGKILL');
      await once(nerve, 'close');
    }
    const synapseFile = join(folder, 'synapse.json');
    const haproxy = {
      ...{ global: [], defaults: [], do_socket: false, do_reloads: false },
      config_file_path: join(folder, 'haproxy.cfg'),
    };
    const services = { api: { discovery: { method: 'etcd' }, haproxy: { port: 50003 } } };
    await writeFile(synapseFile, JSON.stringify({ etcd, services, haproxy }));
    const render = [
      ...node,
      programPath('synapse'),
      'render',
      '--wait',
      String(patienceMs / 1_000),
      '-c',
      synapseFile,
    ] as const;
    const { stdout, stderr } = await exec(render, { timeoutMs: 2 * patienceMs });
    assert.ok(stdout.includes(`server ${key} 127.0.0.1:${service.port}`), stderr);
  });
});
