import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { etcdVersions, remove } from '../support/etcd/etcd.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import { eventually } from '../support/eventually.ts';
import { about, announce, apiKey, ask, fleetPath, startFleetHost } from '../support/fleet/fleet-host.ts';
import { beginRequest, type SlowInstance, slowInstance } from '../support/fleet/slow-instance.ts';
import { haproxySection, testHaproxy } from '../support/haproxy/haproxy.ts';

for (const version of etcdVersions) {
  describe(`a wait for a drain while the leader of etcd ${version} dies`, () => {
    const etcd = withCluster(version, { size: 3 });

    it('goes on with the others, and is not over before the last request has ended', async (t) => {
      const slow = await slowInstance(t);
      await announce(etcd.client, slow.port);
      const hosts = ['host-a', 'host-b'].map((id) => startFleetHost(t, { etcd: etcd.cluster.urls, id }));
      const [host] = await Promise.all(hosts);
      const up = await ask(etcd.client, about(slow.port, 'up')).answer;
      assert.deepEqual([up.outcome, up.proxies], ['done', 2], up.reason ?? '');
      await beginRequest(t, host?.port ?? 0);
      await announce(etcd.client, slow.port, { state: 'drain' });
      const asking = ask(etcd.client, about(slow.port, 'drained'));
      await eventually(() => assert.equal(asking.last?.connections, 1, asking.last?.reason ?? ''));
      const leader = await etcd.cluster.leader();
      await leader.kill();
      const successor = await etcd.cluster.leader();
      assert.notEqual(successor.name, leader.name);
      assert.equal(asking.last?.outcome, 'waiting');
      slow.finish();
      const done = await asking.answer;
      assert.equal(done.outcome, 'done', done.reason ?? '');
      await leader.start();
      await etcd.cluster.ready();
      await remove(etcd.client, apiKey(slow.port));
    });
  });
}

describe('a wait for a drain while synapse dies', () => {
  const etcd = withCluster('3.5');

  /** A synapse in a process of its own, with an instance that has an open request through its HAProxy. */
  async function startHost(t: TestContext): Promise<{ slow: SlowInstance; synapse: TestDaemon; config: string }> {
    const slow = await slowInstance(t);
    await announce(etcd.client, slow.port);
    const haproxy = await testHaproxy();
    const config = join(haproxy.folder, 'synapse.json');
    const port = await freePort();
    const top = {
      etcd: { hosts: etcd.cluster.urls },
      admin: { listen: '127.0.0.1:0', control_socket: join(haproxy.folder, 'synapse.sock') },
      fleet: { path: fleetPath, id: 'dies' },
      services: { api: { discovery: { method: 'etcd' }, haproxy: { port, listen: ['mode http'] } } },
    };
    await writeFile(config, JSON.stringify({ ...top, haproxy: haproxySection(haproxy, { restart_interval: 0 }) }));
    await haproxy.startEmpty();
    const synapse = await startDaemon('synapse', config);
    t.after(async () => {
      await synapse.end('SIGKILL');
      await haproxy.close();
      await remove(etcd.client, apiKey(slow.port));
    });
    await eventually(async () => assert.equal((await synapse.get('/readyz')).status, 200));
    const up = await ask(etcd.client, about(slow.port, 'up')).answer;
    assert.equal(up.outcome, 'done', up.reason ?? '');
    await beginRequest(t, port);
    return { slow, synapse, config };
  }

  it('misses a synapse that dies between applied and quiet, once its lease is over, and names it', async (t) => {
    const { slow, synapse } = await startHost(t);
    await announce(etcd.client, slow.port, { state: 'drain' });
    const asking = ask(etcd.client, about(slow.port, 'drained'));
    await eventually(() => assert.equal(asking.last?.connections, 1, asking.last?.reason ?? ''));
    await synapse.end('SIGKILL');
    // Nothing tells that the request has ended: so it is not said.
    slow.finish();
    const { outcome, left, reason } = await asking.answer;
    assert.deepEqual([outcome, left], ['left', ['dies']]);
    assert.match(String(reason), /left without an acknowledgement: dies/);
  });

  it('is over when its successor has counted the connections itself, and not by what the first one said', async (t) => {
    const { slow, synapse, config } = await startHost(t);
    await announce(etcd.client, slow.port, { state: 'drain' });
    const asking = ask(etcd.client, about(slow.port, 'drained'));
    await eventually(() => assert.equal(asking.last?.connections, 1, asking.last?.reason ?? ''));
    await synapse.end('SIGKILL');
    const successor = await startDaemon('synapse', config);
    t.after(() => successor.end('SIGKILL'));
    await eventually(async () => assert.equal((await successor.get('/readyz')).status, 200));
    await eventually(() => assert.equal(asking.last?.connections, 1, asking.last?.reason ?? ''));
    assert.equal(asking.last?.outcome, 'waiting');
    slow.finish();
    const done = await asking.answer;
    assert.deepEqual([done.outcome, done.members], ['done', ['dies']], done.reason ?? '');
    await successor.end('SIGTERM');
  });
});
