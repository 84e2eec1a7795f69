import { setMaxListeners } from 'node:events';
import { sleep } from '../../common/async/sleep.ts';
import { silentLog } from '../../common/daemon/log.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import { createLeasedKeys } from '../../common/etcd/keys/leased-keys.ts';
import type { PrefixChange } from '../../common/etcd/watch/prefix-state.ts';
import { createReflector } from '../../common/etcd/watch/reflector.ts';
import { formatInstance, makeInstance } from '../../common/instance.ts';

/** The size of a fleet. */
export interface FleetOptions {
  readonly hosts: number;
  /** The number of all services, and of those that each synapse follows. */
  readonly services: number;
  readonly followed: number;
  /** Lease seconds. */
  readonly ttlSeconds: number;
  /** The addresses at which nerves and synapses reach etcd. */
  readonly nerveHosts: readonly string[];
  readonly synapseHosts: readonly string[];
}

/** The etcd side of many hosts, each with the connections, leases and watches of one nerve and one synapse, in this process. */
export interface Fleet {
  /** Changes a record that every synapse follows. @returns when the last synapse that saw it within `limit` ms saw it */
  change(limit: number): Promise<Spread>;
}

/** How a change spread over the fleet. */
export interface Spread {
  /** Milliseconds. */
  readonly tookMs: number;
  /** The number of synapses that have not seen it. */
  readonly missing: number;
}

/** Every synapse follows its record. */
const common = '/nerve/services/common/';

/** Starts them and waits until every key is announced and every prefix read. All ends when `signal` aborts. */
export async function startFleet(options: FleetOptions, signal: AbortSignal): Promise<Fleet> {
  const { hosts, services, followed, ttlSeconds, nerveHosts, synapseHosts } = options;
  const deps = { log: silentLog };
  setMaxListeners(0, signal);
  const writer = createEtcdClient({ hosts: nerveHosts }, deps, signal);
  let version = 0;
  let waiting = new Set<number>();
  let seenAt = 0;
  const see = (host: number, change: PrefixChange): void => {
    for (const { entry } of change.changed) {
      if (entry?.value.toString() === `${version}` && waiting.delete(host)) seenAt = performance.now();
    }
  };
  const put = (value: number): Promise<unknown> =>
    writer.call((rpc) => rpc.kv.put({ key: Buffer.from(`${common}a`), value: Buffer.from(`${value}`) }));
  await put(version);
  const started = Array.from({ length: hosts }, async (_, host) => {
    // Spread over time, as the starts of real hosts are.
    await sleep((host / hosts) * 3_000, signal);
    const keys = createLeasedKeys(createEtcdClient({ hosts: nerveHosts }, deps, signal), { ttlSeconds }, deps, signal);
    const instance = makeInstance({ name: `i-${host}`, host: '10.0.0.1', port: 1024 + host, labels: { az: 'eu-1a' } });
    keys.set(`/nerve/services/s${host % services}/${instance.id}`, formatInstance(instance));
    const reflector = createReflector(createEtcdClient({ hosts: synapseHosts }, deps, signal), deps, signal);
    void reflector.follow(common, (change) => see(host, change), signal);
    for (let i = 0; i < followed; i += 1) {
      void reflector.follow(`/nerve/services/s${(host + i) % services}/`, () => {}, signal);
    }
    await keys.settled(signal);
    while (!reflector.status.synced && !signal.aborted) await sleep(50, signal);
  });
  await Promise.all(started);
  return {
    async change(limit) {
      version += 1;
      waiting = new Set(Array.from({ length: hosts }, (_, host) => host));
      const since = performance.now();
      await put(version);
      while (waiting.size > 0 && performance.now() - since < limit) await sleep(1);
      return { tookMs: seenAt - since, missing: waiting.size };
    },
  };
}
