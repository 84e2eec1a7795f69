import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createEtcdClient } from '../../../common/etcd/client/client.ts';
import { enableAuth } from '../../support/etcd/auth.ts';
import { dump, testLog } from '../../support/etcd/etcd.ts';
import { withCluster } from '../../support/etcd/with-cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { announce, apiKey, fleetPath, startFleetHost } from '../../support/fleet/fleet-host.ts';

describe('a synapse that may not write below the path of the fleet', () => {
  const cluster = withCluster('3.5');

  it('takes no part, says so, and works as before', async (t) => {
    await enableAuth(cluster.cluster, '/nerve/');
    const root = createEtcdClient(
      { hosts: cluster.cluster.urls, username: 'root', password: 'root-secret' },
      { log: testLog() },
      cluster.signal,
    );
    const lines: string[] = [];
    const log = { ...testLog(), warn: (message: string) => void lines.push(message), child: () => log };
    const etcd = { hosts: cluster.cluster.urls, username: 'nerve', password: 'secret' };
    await announce(root, 9);
    const host = await startFleetHost(t, { etcd: cluster.cluster.urls, more: { etcd }, log });
    await eventually(() => assert.match(host.synapse.state().fleet?.reason ?? '', /permission denied/));
    await announce(root, 10);
    await eventually(async () => assert.ok((await host.haproxy.servers()).has(`api/${apiKey(10).split('/').at(-1)}`)));
    const { age, reason } = host.synapse.state().services.api ?? {};
    assert.equal(reason, null);
    assert.equal(typeof age, 'number');
    assert.equal(host.synapse.ready(), null);
    const said = (): number => lines.filter((line) => line.includes('takes no part in the fleet')).length;
    await eventually(() => assert.equal(said(), 1));
    assert.deepEqual(await dump(root, fleetPath), {});
    await host.stop();
  });
});
