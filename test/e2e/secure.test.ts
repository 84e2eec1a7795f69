import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { exec } from '../../common/daemon/exec.ts';
import { readyServers } from '../../deploy/demo/haproxy.ts';
import type { Daemon, SampleInstance } from '../../deploy/demo/parts.ts';
import { type Stack, startStack } from '../../deploy/demo/stack.ts';
import { type ClusterCertificates, clusterCertificates } from '../support/etcd/cluster-certificates.ts';
import { clusterCommand } from '../support/etcd/cluster-command.ts';
import { eventually } from '../support/eventually.ts';
import { root } from '../support/repository.ts';

const accessFile = join(root, 'etcd-cluster/access.yaml');

describe('nerve, synapse and HAProxy with an etcd that wants certificates', () => {
  let folder: string;
  let certificates: ClusterCertificates;
  let stack: Stack;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-secure-'));
    certificates = await clusterCertificates(folder, '--access', accessFile);
    stack = await startStack({
      ...{ services: ['api'], instancesPerService: 2, etcdVersion: '3.5' },
      tls: { member: certificates.memberTls, client: certificateOf },
    });
  });
  after(async () => {
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** nerve has the user of its service. */
  const certificateOf = (daemon: string) => certificates.client(daemon === 'nerve' ? 'nerve-api' : daemon);
  const instance = (index: number): SampleInstance => stack.instances[index] as SampleInstance;
  const daemons = (): readonly Daemon[] => [...stack.instances.map(({ nerve }) => nerve), stack.synapse];
  const ready = async (count: number): Promise<void> => {
    await eventually(async () => assert.equal((await readyServers(stack.haproxy.socket, 'api')).length, count));
    const { statusCode, body } = await request(`http://127.0.0.1:${stack.ports.api}/`);
    await body.dump();
    assert.equal(statusCode, 200);
  };
  /** A change of health that reaches HAProxy, and back again. */
  const follows = async (): Promise<void> => {
    instance(0).process.signal('SIGUSR2');
    await ready(1);
    instance(0).process.signal('SIGUSR1');
    await ready(2);
  };
  const nerve = async (...args: readonly string[]): Promise<void> => {
    const { argv, configFile } = instance(1).nerve;
    const { code, stderr } = await exec([...argv, ...args, 'api', '-c', configFile], { timeoutMs: 60_000 });
    assert.deepEqual([code, stderr], [0, '']);
  };
  /** One member after the other, so that every connection is a new one. */
  const restartMembers = async (): Promise<void> => {
    for (const member of stack.etcd.members) {
      await member.kill();
      await member.start();
      await stack.etcd.ready();
    }
  };
  const pids = (): readonly number[] => daemons().map(({ process }) => process.pid);
  const said = async ({ admin }: Daemon): Promise<string> => {
    const { body } = await request(`http://${admin}/api/v1/state`);
    return body.text();
  };

  it('carries every change', async () => {
    await ready(2);
    await follows();
  });

  it('goes on when authentication is enabled, with the least rights for each user', async () => {
    const env = { ETCD_HOSTS: stack.etcd.urls.join(), ETCD_TLS: join(folder, 'tls') };
    const { code, stderr } = await clusterCommand('access', [accessFile], env);
    assert.deepEqual([code, stderr], [0, '']);
    await follows();
  });

  it('drains and undrains', async () => {
    await nerve('drain');
    await ready(1);
    await nerve('undrain');
    await ready(2);
  });

  it('takes up renewed certificates and keys of members and daemons without a restart', async () => {
    const before = pids();
    await certificates.make('--renew-within', '31', '--new-keys');
    await follows();
    await restartMembers();
    await follows();
    assert.deepEqual(pids(), before);
    assert.ok(daemons().every(({ process }) => process.running));
  });

  it('serves on with expired certificates, says what is wrong, and goes on once they are renewed', async () => {
    const before = pids();
    await certificates.expire('nerve-api', 'client');
    await certificates.expire('synapse', 'client');
    await restartMembers();
    for (const daemon of daemons()) {
      await eventually(async () => assert.match(await said(daemon), /certificate expired/));
    }
    await ready(2);
    await certificates.make();
    await eventually(async () => {
      for (const daemon of daemons()) assert.doesNotMatch(await said(daemon), /certificate expired/);
    });
    await follows();
    assert.deepEqual(pids(), before);
  });
});
