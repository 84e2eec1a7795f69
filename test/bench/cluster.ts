import { join } from 'node:path';
import { silentLog } from '../../common/daemon/log.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import { type LocalCluster, startCluster } from '../../etcd-cluster/members/local-cluster.ts';
import { type GrpcProxy, startGrpcProxy } from '../support/etcd/grpc-proxy.ts';
import { startFleet } from './fleet.ts';
import { cpuPercent, residentMegabytes } from './process-cost.ts';
import { quantile } from './statistics.ts';

/** What the benchmark of a cluster needs. */
export interface ClusterBench {
  readonly folder: string;
  /** Path of the etcd program. */
  readonly etcd: string;
  readonly hosts: number;
}

/** The resources of etcd under one load. */
export interface ClusterCost {
  readonly what: string;
  /** Memory of the largest member, MB. */
  readonly memory: number;
  /** Processor time of all members, percent of one core; NaN where it was not measured. */
  readonly cpu: number;
  /** Median time from a put until the last host has seen it, ms. */
  readonly seenMs: number;
  /** The number of hosts that had not seen one of the changes after 3 s. */
  readonly missing: number;
  /** Memory and processor time of the grpc-proxy: MB and percent of one core. */
  readonly proxy?: { readonly memory: number; readonly cpu: number };
}

/** The speed of etcd, and its resources by the size of a fleet. */
export interface ClusterFigures {
  readonly costs: readonly ClusterCost[];
  /** Puts per second, 64 at a time. */
  readonly writes: number;
  /** Median time of one put, one at a time, ms. */
  readonly writeMs: number;
  /** The memory of a member for 10,000 more keys of 200 bytes, MB. */
  readonly keys: number;
}

const seconds = 10;
const changes = 50;

/** Runs three members with the clients of many hosts, without and with a grpc-proxy before the synapses. */
export async function measureCluster({ folder, etcd, hosts }: ClusterBench): Promise<ClusterFigures> {
  const cluster = await startCluster({ size: 3, etcd, dataDir: join(folder, 'sizing') });
  const ended = new AbortController();
  try {
    const idle = { what: 'empty', memory: await largest(cluster), cpu: Number.NaN, seenMs: Number.NaN, missing: 0 };
    const direct = await withFleet(cluster, hosts);
    const through = await withFleet(cluster, hosts, () => startGrpcProxy(etcd, cluster.urls, folder));
    const writer = createEtcdClient({ hosts: cluster.urls }, { log: silentLog }, ended.signal);
    const value = Buffer.alloc(200, 'x');
    const put = async (key: string): Promise<number> => {
      const since = performance.now();
      await writer.call((rpc) => rpc.kv.put({ key: Buffer.from(key), value }), { totalMs: 30_000 });
      return performance.now() - since;
    };
    const alone: number[] = [];
    for (let i = 0; i < 200; i += 1) alone.push(await put(`/alone/${i}`));
    const before = await largest(cluster);
    const [many, since] = [10_000, performance.now()];
    let next = 0;
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        while (next < many) await put(`/many/${next++}`);
      }),
    );
    const writes = many / ((performance.now() - since) / 1_000);
    return {
      costs: [
        idle,
        { what: `${hosts} hosts`, ...direct },
        { what: `${hosts} hosts, synapses by grpc-proxy`, ...through },
      ],
      ...{ writes, writeMs: quantile(alone, 0.5), keys: (await largest(cluster)) - before },
    };
  } finally {
    ended.abort();
    await cluster.stopAll();
  }
}

/** The resources of members with a fleet. The members are restarted first, so that earlier loads leave nothing behind. */
async function withFleet(
  cluster: LocalCluster,
  hosts: number,
  startProxy?: () => Promise<GrpcProxy>,
): Promise<Omit<ClusterCost, 'what'>> {
  await cluster.restartAll();
  const proxy = await startProxy?.();
  const ended = new AbortController();
  const shape = { hosts, services: 50, followed: 10, ttlSeconds: 10, nerveHosts: cluster.urls };
  try {
    const fleet = await startFleet({ ...shape, synapseHosts: proxy ? [proxy.url] : cluster.urls }, ended.signal);
    const pids = [...cluster.members.map(({ pid }) => Number(pid)), ...(proxy ? [proxy.pid] : [])];
    const cpu = await cpuPercent(pids, seconds);
    const seen: number[] = [];
    let missing = 0;
    for (let i = 0; i < changes && missing === 0; i += 1) {
      const spread = await fleet.change(3_000);
      seen.push(spread.tookMs);
      missing = spread.missing;
    }
    return {
      memory: await largest(cluster),
      cpu: cpu.slice(0, cluster.members.length).reduce((sum, one) => sum + one, 0),
      ...{ seenMs: quantile(seen, 0.5), missing },
      ...(proxy && { proxy: { memory: await residentMegabytes(proxy.pid), cpu: cpu.at(-1) ?? Number.NaN } }),
    };
  } finally {
    ended.abort();
    await proxy?.stop();
  }
}

async function largest({ members }: LocalCluster): Promise<number> {
  return Math.max(...(await Promise.all(members.map(({ pid }) => residentMegabytes(Number(pid))))));
}
