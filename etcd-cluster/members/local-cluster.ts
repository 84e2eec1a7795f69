import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '../../common/async/sleep.ts';
import { type Log, silentLog } from '../../common/daemon/log.ts';
import { type MemberTls, memberAddresses, memberFlags, newToken } from './flags.ts';
import { LocalMember } from './member.ts';
import { freePorts } from './ports.ts';
import { canSkipFsync } from './version.ts';

/** The members of a local cluster, and how they are started. */
export interface LocalClusterOptions {
  /** Number of members, default 3. */
  readonly size?: number;
  /** Path of the etcd program, 3.4 or newer. */
  readonly etcd: string;
  /** The folder for the members' folders, which are removed at the end. */
  readonly dataDir: string;
  /** More flags for every member. */
  readonly flags?: readonly string[];
  /** Certificates, the same for all members or by the member's name. With an authority, clients must have one too. */
  readonly tls?: MemberTls | ((name: string) => MemberTls);
  readonly log?: Log;
  /** How long the members may take to be healthy, milliseconds; default two minutes. */
  readonly timeoutMs?: number;
}

/** How long members may take to be healthy, and to elect a leader. */
const defaultTimeoutMs = 120_000;

/** etcd members on loopback that end with this process: for the demo and for tests, not for production. */
export class LocalCluster {
  readonly members: readonly LocalMember[];
  /** The addresses for clients. */
  readonly urls: readonly string[];

  constructor(members: readonly LocalMember[]) {
    this.members = members;
    this.urls = members.map(({ url }) => url);
  }

  /** Starts all members as a new cluster. @throws when a member ends, is not healthy in time, or `signal` aborts */
  async create(timeoutMs = defaultTimeoutMs, signal?: AbortSignal): Promise<void> {
    const token = newToken();
    await Promise.all(this.members.map((member) => member.start(token)));
    await this.ready(timeoutMs, signal);
    const ended = this.members.find(({ status }) => status === 'exited');
    if (ended !== undefined) throw new Error(`etcd member ${ended.name} ended at once; ${await ended.quoteLog()}`);
  }

  /** Waits until all members that run are healthy. @throws when that takes longer than `timeoutMs`, or `signal` aborts */
  async ready(timeoutMs = defaultTimeoutMs, signal?: AbortSignal): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (const member of this.members) {
      if ((await member.waitForHealth(deadline, signal)) === 'late') {
        throw new Error(`etcd member ${member.name} is not healthy after ${timeoutMs} ms`);
      }
    }
  }

  /** The member that is the leader now. @throws when there is none within two minutes */
  async leader(): Promise<LocalMember> {
    const deadline = performance.now() + defaultTimeoutMs;
    while (performance.now() < deadline) {
      for (const member of this.members) if (member.status === 'running' && (await member.leads())) return member;
      await sleep(50);
    }
    throw new Error(`the etcd cluster has no leader after ${defaultTimeoutMs} ms`);
  }

  /** Stops all members, starts them again and waits until they are healthy. */
  async restartAll(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()));
    await Promise.all(this.members.map((member) => member.start()));
    await this.ready();
  }

  /** Replaces the cluster by an empty one with another cluster id, at the same addresses. */
  async recreate(): Promise<void> {
    await this.stopAll();
    await this.create();
  }

  /** Kills all members and removes their folders. */
  async stopAll(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    await Promise.all(this.members.map((member) => rm(member.folder, { recursive: true, force: true })));
  }
}

/**
 * Starts a cluster and waits until it is healthy. No member outlives this process, however it ends.
 * @throws when the cluster does not become healthy, or `signal` aborts; nothing is left running then
 */
export async function startCluster(options: LocalClusterOptions, signal?: AbortSignal): Promise<LocalCluster> {
  const { size = 3, etcd, dataDir, flags = [], tls, log = silentLog, timeoutMs } = options;
  const unsafe = await canSkipFsync(etcd);
  const addresses = memberAddresses(await freePorts(size * 3));
  const members = addresses.map((address) => {
    const folder = join(dataDir, address.name);
    const ownTls = typeof tls === 'function' ? tls(address.name) : tls;
    const flagsFor = (token: string): readonly string[] => [
      ...memberFlags(address, folder, { members: addresses, token, unsafe, ...(ownTls && { tls: ownTls }) }),
      ...flags,
    ];
    return new LocalMember({ address, etcd, folder, secure: ownTls !== undefined, flags: flagsFor, log });
  });
  const cluster = new LocalCluster(members);
  try {
    await cluster.create(timeoutMs, signal);
  } catch (error) {
    await cluster.stopAll();
    throw error;
  }
  return cluster;
}
