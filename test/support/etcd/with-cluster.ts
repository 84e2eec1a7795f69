import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import type { EtcdClient } from '../../../common/etcd/client/client.ts';
import type { LocalCluster, LocalClusterOptions } from '../../../etcd-cluster/members/local-cluster.ts';
import { directClient, type EtcdVersion, testCluster } from './etcd.ts';

/** An etcd cluster, and a client that ends with it. Both are there from the first test of the `describe` on. */
export interface ClusterFixture {
  readonly cluster: LocalCluster;
  readonly client: EtcdClient;
  /** Aborts after the last test. */
  readonly signal: AbortSignal;
}

/** Starts a cluster before the tests of the present `describe`, and stops it after them. By default it has one member. */
export function withCluster(
  version: EtcdVersion,
  options: Omit<Partial<LocalClusterOptions>, 'etcd' | 'dataDir'> = {},
): ClusterFixture {
  const end = new AbortController();
  let cluster: LocalCluster | undefined;
  let client: EtcdClient | undefined;
  before(async () => {
    cluster = await testCluster(version, { size: 1, ...options });
    client = directClient(cluster, end.signal);
  });
  after(async () => {
    end.abort();
    await cluster?.stopAll();
  });
  return {
    get cluster() {
      assert.ok(cluster, 'the cluster has not been started yet');
      return cluster;
    },
    get client() {
      assert.ok(client, 'the cluster has not been started yet');
      return client;
    },
    signal: end.signal,
  };
}
