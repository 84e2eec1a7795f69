import { createEtcdClient, type EtcdClient } from '../../../common/etcd/client/client.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.ts';
import { directClient, type EtcdVersion, portOf, testCluster, testLog } from './etcd.ts';

/** An etcd cluster with a fault proxy in front of each member. */
export interface ProxiedCluster {
  readonly cluster: LocalCluster;
  /** In the order of the members. */
  readonly proxies: readonly FaultProxy[];
  /** A client that goes around the proxies, for writes and checks beside the code under test. */
  readonly direct: EtcdClient;
  /** A client through the proxies, all of them or the first few. */
  client(signal: AbortSignal, members?: number): EtcdClient;
  /** The member, and its proxy, that a client uses now. */
  behind(client: EtcdClient): { readonly member: LocalCluster['members'][number]; readonly proxy: FaultProxy };
  /** Ends all faults and waits until every member runs and is healthy. */
  heal(): Promise<void>;
  close(): Promise<void>;
}

/** Starts members, by default three, each behind a fault proxy. */
export async function startProxiedCluster(
  version: EtcdVersion,
  options: Parameters<typeof testCluster>[1] = {},
): Promise<ProxiedCluster> {
  const end = new AbortController();
  const cluster = await testCluster(version, options);
  const proxies = await Promise.all(cluster.urls.map((url) => startFaultProxy(portOf(url))));
  return {
    cluster,
    proxies,
    direct: directClient(cluster, end.signal),
    client(signal, members = proxies.length) {
      const hosts = proxies.slice(0, members).map(({ port }) => `127.0.0.1:${port}`);
      return createEtcdClient({ hosts }, { log: testLog() }, signal);
    },
    behind(client) {
      const index = proxies.findIndex(({ port }) => client.status.member.endsWith(`:${port}`));
      const [member, proxy] = [cluster.members[index], proxies[index]];
      if (!member || !proxy) throw new Error(`no member behind ${client.status.member}`);
      return { member, proxy };
    },
    async heal() {
      for (const proxy of proxies) {
        proxy.onServerData = undefined;
        await proxy.heal();
      }
      for (const member of cluster.members) {
        member.thaw();
        await member.start();
      }
      await cluster.ready();
    },
    async close() {
      end.abort();
      for (const proxy of proxies) await proxy.close();
      await cluster.stopAll();
    },
  };
}
