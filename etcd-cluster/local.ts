import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../common/exec.ts';
import { type Log, silentLog } from '../common/log.ts';
import { sleep } from '../common/supervise.ts';
import { LocalMember, type MemberTls } from './member.ts';
import { freePorts } from './ports.ts';

export interface LocalClusterOptions {
  /** Members, default 3. */
  readonly size?: number;
  /** Path of the etcd program, 3.4 or newer. */
  readonly etcd: string;
  /** Each member gets a folder below it; they are removed at the end. */
  readonly dataDir: string;
  /** More flags for every member. */
  readonly flags?: readonly string[];
  /** Serves clients over TLS, and asks them for a certificate when there is an authority. */
  readonly tls?: MemberTls;
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
  const modern = await isModern(etcd);
  const ports = await freePorts(size * 3);
  const names = Array.from({ length: size }, (_, index) => `etcd${index + 1}`);
  const peers = names.map((name, index) => `${name}=http://127.0.0.1:${ports[index * 3 + 1]}`).join(',');
  const members = names.map((name, index) => {
    const [client, peer, metrics] = ports.slice(index * 3) as [number, number, number];
    const own = [
      `--initial-cluster=${peers}`,
      // Fast elections on one machine, yet not so fast that a busy one holds them for no reason.
      '--heartbeat-interval=100',
      '--election-timeout=1000',
      ...(modern ? ['--unsafe-no-fsync'] : []),
      ...flags,
    ];
    const folder = join(dataDir, name);
    return new LocalMember({ name, etcd, folder, client, peer, metrics, flags: own, log, ...(tls && { tls }) });
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

/** The cluster id follows from the addresses and this: with a new one, old members and clients notice. */
function newToken(): string {
  return `local-${randomBytes(6).toString('hex')}`;
}

/** Writes without fsync are possible from etcd 3.5 on. */
async function isModern(etcd: string): Promise<boolean> {
  const { stdout } = await exec([etcd, '--version'], { timeout: 10_000 });
  const match = /etcd Version: (\d+)\.(\d+)/.exec(stdout);
  if (match === null) throw new Error(`${etcd} --version: not etcd: ${stdout.slice(0, 100)}`);
  return Number(match[1]) > 3 || Number(match[2]) >= 5;
}
