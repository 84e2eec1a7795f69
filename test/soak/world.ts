import { join } from 'node:path';
import { silentLog } from '../../common/daemon/log.ts';
import { createEtcdClient, type EtcdClient } from '../../common/etcd/client/client.ts';
import { Processes } from '../../deploy/demo/processes.ts';
import { findProgram } from '../../deploy/tools/debian/programs.ts';
import { type LocalCluster, startCluster } from '../../etcd-cluster/members/local-cluster.ts';
import { type EtcdVersion, etcdProgram } from '../support/etcd/etcd.ts';
import { EtcdRecorder } from './etcd-recorder.ts';
import type { History } from './history.ts';
import type { SoakInstance } from './instance.ts';
import { Intents } from './intents.ts';
import { NerveHost } from './nerve-host.ts';
import { ProxyHost } from './proxy-host.ts';

export const services = ['api', 'web'] as const;

/** Everything that runs: etcd, hosts with nerves and their instances, hosts with HAProxy and synapse. */
export interface World {
  readonly history: History;
  readonly etcd: LocalCluster;
  /** Talks to the members without the proxies of the hosts. */
  readonly direct: EtcdClient;
  readonly recorder: EtcdRecorder;
  readonly intents: Intents;
  readonly nerves: readonly NerveHost[];
  readonly proxies: readonly ProxyHost[];
  /** Instances that a fault has changed. */
  readonly busy: Set<SoakInstance>;
}

/** What a world is made of. */
export interface WorldOptions {
  readonly folder: string;
  readonly etcdVersion: EtcdVersion;
  readonly history: History;
}

/** Starts a world. @returns it, and what ends it and leaves nothing behind */
export async function startWorld(
  { folder, etcdVersion, history }: WorldOptions,
  signal: AbortSignal,
): Promise<{ readonly world: World; readonly stop: () => Promise<void> }> {
  const ends: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of ends.reverse()) await end();
  };
  try {
    const etcd = await startCluster({ size: 3, etcd: await etcdProgram(etcdVersion), dataDir: join(folder, 'etcd') });
    ends.push(() => etcd.stopAll());
    const direct = createEtcdClient({ hosts: etcd.urls }, { log: silentLog }, signal);
    const recorder = new EtcdRecorder(direct, history);
    void recorder.run(signal);
    const processes = new Processes(folder);
    ends.push(() => processes.stop());
    const nerves: NerveHost[] = [];
    for (const name of ['nerve-1', 'nerve-2', 'nerve-3']) {
      const nerve = await NerveHost.start(name, { services, perService: 2, urls: etcd.urls }, processes);
      ends.push(() => nerve.close());
      nerves.push(nerve);
    }
    const haproxyPath = await findProgram('haproxy');
    const proxies: ProxyHost[] = [];
    for (const name of ['proxy-1', 'proxy-2']) {
      const proxy = await ProxyHost.start(name, { folder, services, urls: etcd.urls }, { haproxyPath });
      ends.push(() => proxy.close());
      proxies.push(proxy);
    }
    const intents = new Intents(recorder);
    return { world: { history, etcd, direct, recorder, intents, nerves, proxies, busy: new Set() }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
