import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createEtcdClient } from '../../../../common/etcd/client/client.ts';
import { Keepalive } from '../../../../common/etcd/keys/keepalive.ts';
import type { LocalCluster } from '../../../../etcd-cluster/members/local-cluster.ts';
import { portOf, testCluster, testLog } from '../../../support/etcd/etcd.ts';
import { type FaultProxy, startFaultProxy } from '../../../support/servers/fault-proxy.ts';

describe('keepalive', () => {
  let cluster: LocalCluster;
  let proxies: FaultProxy[];
  const ended = new AbortController();

  before(async () => {
    cluster = await testCluster('3.5', { size: 1 });
    const target = portOf(cluster.urls[0] as string);
    proxies = [await startFaultProxy(target), await startFaultProxy(target)];
  });
  after(async () => {
    ended.abort();
    for (const proxy of proxies ?? []) await proxy.close();
    await cluster?.stopAll();
  });

  // Nothing else calls etcd here: only its own streams tell the keepalive how a member is.
  for (const fault of ['refuse', 'blackhole'] as const) {
    it(`renews on another member at the next try when its own fails (${fault})`, async () => {
      const hosts = proxies.map(({ port }) => `127.0.0.1:${port}`);
      const client = createEtcdClient({ hosts }, { log: testLog() }, ended.signal);
      const { ID } = await client.call((rpc) => rpc.lease.leaseGrant({ TTL: 60 }));
      const keepalive = new Keepalive(client, ended.signal);
      assert.equal(await keepalive.renew(ID, 5_000), 60);
      const used = proxies.find(({ connections }) => connections.size > 0) as FaultProxy;
      await used[fault]();
      const outcomes: (number | string)[] = [];
      for (let i = 0; i < 3; i++) outcomes.push(await keepalive.renew(ID, 1_000).catch(() => 'failed'));
      assert.deepEqual(outcomes.slice(1), [60, 60], `the first one may fail, the others not: ${outcomes}`);
      keepalive.close();
      await used.heal();
    });
  }
});
