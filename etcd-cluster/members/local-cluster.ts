import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '../../common/async/supervise.ts';
import { type Log, silentLog } from '../../common/daemon/log.ts';
import { type MemberAddress, type MemberTls, memberFlags } from './flags.ts';
import { LocalMember } from './member.ts';
import { freePorts } from './ports.ts';
import { canSkipFsync } from './version.ts';

export interface LocalClusterOptions {
  /** Members, default 3. */
  readonly size?: number;
  /** Path of the etcd program, 3.4 or newer. */
  readonly etcd: string;
  /** Each member gets a folder below it; they are removed at the end. */
  readonly dataDir: string;
  /** More flags for every member. */
  readonly flags?: readonly string[];
  /** Serves clients over TLS, and asks them for a certificate when there is an authority: one for all, or by name. */
  readonly tls?: MemberTls | ((name: string) => MemberTls);
  readonly log?: Log;
}

/** etcd members on loopback: for trying things out and for tests, not for production. */
export interface LocalCluster {
  readonly members: readonly LocalMember[];
  /** What clients connect to. */
  readonly urls: readonly string[];
  /** Waits until all members that run are healthy. @throws when that takes longer than `timeout` ms, default 30 s */
  ready(timeout?: number): Promise<void>;
  /** The member that leads now. @throws when there is none within 30 s */
  leader(): Promise<LocalMember>;
  /** Stops all members in order, starts them again and waits until they are healthy. */
  restartAll(): Promise<void>;
  /** Replaces the cluster by an empty one with another cluster id, at the same addresses. */
  recreate(): Promise<void>;
  /** Ends all members and removes their data. */
  stopAll(): Promise<void>;
}

/**
 * Starts a cluster and waits until it is healthy. No member outlives this process, however it ends.
 * @throws when it does not get healthy; nothing is left running then
 */
export async function startCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const { size = 3, etcd, dataDir, flags = [], tls, log = silentLog } = options;
  const unsafe = await canSkipFsync(etcd);
  const ports = await freePorts(size * 3);
  const addresses = Array.from({ length: size }, (_, index): MemberAddress => {
    const [client, peer, metrics] = ports.slice(index * 3) as [number, number, number];
    return { name: `etcd${index + 1}`, client, peer, metrics };
  });
  const members = addresses.map((address) => {
    const folder = join(dataDir, address.name);
    const own = typeof tls === 'function' ? tls(address.name) : tls;
    const ownFlags = (token: string): readonly string[] => [
      ...memberFlags(address, folder, { members: addresses, token, unsafe, ...(own && { tls: own }) }),
      ...flags,
    ];
    return new LocalMember({ address, etcd, folder, secure: own !== undefined, flags: ownFlags, log });
  });

  const start = async (token: string): Promise<void> => {
    await mkdir(dataDir, { recursive: true });
    await Promise.all(members.map((member) => member.start(token)));
    await cluster.ready();
  };

  const cluster: LocalCluster = {
    members,
    urls: members.map((member) => member.url),
    async ready(timeout = 30_000) {
      const end = performance.now() + timeout;
      for (const member of members) {
        while (member.status === 'running' && !(await member.healthy())) {
          if (performance.now() > end) throw new Error(`etcd member ${member.name} is not healthy after ${timeout} ms`);
          await sleep(50);
        }
      }
    },
    async leader() {
      const end = performance.now() + 30_000;
      while (performance.now() < end) {
        for (const member of members) if (member.status === 'running' && (await member.leads())) return member;
        await sleep(50);
      }
      throw new Error('the etcd cluster has no leader after 30 s');
    },
    async restartAll() {
      await Promise.all(members.map((member) => member.stop()));
      await Promise.all(members.map((member) => member.start()));
      await cluster.ready();
    },
    async recreate() {
      await cluster.stopAll();
      await start(newToken());
    },
    async stopAll() {
      await Promise.all(members.map((member) => member.kill()));
      await Promise.all(members.map((member) => rm(member.folder, { recursive: true, force: true })));
    },
  };

  try {
    await start(newToken());
  } catch (error) {
    await cluster.stopAll();
    throw error;
  }
  return cluster;
}

/** With a new token a cluster has another id. */
export function newToken(): string {
  return `local-${randomBytes(6).toString('hex')}`;
}
