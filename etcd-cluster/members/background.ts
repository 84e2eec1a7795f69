import { once } from 'node:events';
import { mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '../../common/async/sleep.ts';
import { memberTls } from '../tls/layout.ts';
import { type ClusterRecord, readRecord, recordPath, writeRecord } from './cluster-record.ts';
import { clientUrl, dataFolder, type MemberAddress, memberAddresses, memberFlags, newToken } from './flags.ts';
import { isHealthy, isLeader, waitForHealth } from './health.ts';
import { launchEtcd, quoteLog } from './launch.ts';
import { isFree } from './ports.ts';
import { findProcess, type ProcessInfo } from './processes.ts';
import { canSkipFsync } from './version.ts';

/** A member of a cluster in the background, as it is now. */
export interface BackgroundMember extends MemberAddress {
  readonly folder: string;
  readonly url: string;
  /** Undefined when it does not run. */
  readonly process: ProcessInfo | undefined;
}

/** A cluster in the background, as it is now: its members outlive the processes that start and stop them. */
export interface BackgroundCluster {
  readonly record: ClusterRecord;
  readonly members: readonly BackgroundMember[];
}

/** A cluster to make. */
export interface NewCluster {
  /** Path of the etcd program. */
  readonly etcd: string;
  /** The first of nine ports on loopback: three for each member. */
  readonly port: number;
  /** The folder with certificates from `etcd-cluster/certificates`; null without TLS. */
  readonly tls: string | null;
}

const healthTimeoutMs = 60_000;
/** How long a member may take to end, or to be frozen. */
const signalTimeoutMs = 10_000;

/** The cluster in `folder`; undefined when none was started there, or it was wiped. */
export async function findCluster(folder: string): Promise<BackgroundCluster | undefined> {
  const record = await readRecord(folder);
  if (record === undefined) return undefined;
  const members = record.members.map(async (address): Promise<BackgroundMember> => {
    const url = clientUrl(address, record.tls !== null);
    const member = { ...address, folder: join(folder, address.name), url, process: undefined };
    return { ...member, process: await processOf(record, member) };
  });
  return { record, members: await Promise.all(members) };
}

/** Makes the folder of a cluster that does not exist yet; starts nothing. @throws when the folder has other things in it */
export async function createCluster(folder: string, { etcd, port, tls }: NewCluster): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const existing = await readdir(folder);
  const members = memberAddresses(Array.from({ length: 9 }, (_, index) => port + index));
  // `wipe` would remove it: the certificates of a member, for example.
  const taken = members.find(({ name }) => existing.includes(name));
  if (taken !== undefined) {
    throw new Error(`${join(folder, taken.name)} exists and is not the folder of a member: name another folder`);
  }
  await writeRecord(folder, { etcd, token: newToken(), members, tls });
}

/**
 * Starts the members that do not run, and waits until they are healthy. They outlive this process.
 * @throws when a port is taken, or when a member ends or is not healthy in time, with the end of its output
 */
export async function startMembers({ record, members }: BackgroundCluster): Promise<void> {
  const missing = members.filter((member) => member.process === undefined);
  for (const { name, client, peer, metrics } of missing) {
    for (const port of [client, peer, metrics]) {
      if (!(await isFree(port)))
        throw new Error(`port ${port} of 127.0.0.1, for ${name}, is in use by another program`);
    }
  }
  for (const member of missing) await launch(record, member);
  const deadline = performance.now() + healthTimeoutMs;
  for (const member of missing) {
    const isRunning = async (): Promise<boolean> => (await processOf(record, member)) !== undefined;
    const result = await waitForHealth(member.metrics, { isRunning, deadline });
    if (result === 'healthy') continue;
    const what = result === 'ended' ? 'ended at once' : `is not healthy after ${healthTimeoutMs / 1_000} s`;
    throw new Error(`${member.name} ${what}; ${await quoteLog(member.folder)}`);
  }
}

async function launch({ etcd, token, members, tls }: ClusterRecord, member: BackgroundMember): Promise<void> {
  const unsafe = await canSkipFsync(etcd);
  const ownTls = tls === null ? undefined : memberTls(tls, member.name);
  const flags = memberFlags(member, member.folder, { members, token, unsafe, ...(ownTls && { tls: ownTls }) });
  const child = launchEtcd(etcd, { folder: member.folder, flags, detached: true });
  await once(child, 'spawn');
  child.unref();
}

/** Sends a member SIGSTOP or SIGCONT, and waits until that has taken effect. */
export async function setFrozen(
  { record }: BackgroundCluster,
  member: BackgroundMember,
  frozen: boolean,
): Promise<void> {
  send(member, frozen ? 'SIGSTOP' : 'SIGCONT');
  const deadline = performance.now() + signalTimeoutMs;
  while (performance.now() < deadline) {
    const found = await processOf(record, member);
    if (found === undefined || found.frozen === frozen) return;
    await sleep(20);
  }
}

function processOf({ etcd }: ClusterRecord, { name, folder }: BackgroundMember): Promise<ProcessInfo | undefined> {
  return findProcess(etcd, [`--name=${name}`, `--data-dir=${dataFolder(folder)}`]);
}

/** @throws when the process belongs to another user */
function send({ name, process: found }: BackgroundMember, signal: NodeJS.Signals): void {
  if (found === undefined) return;
  try {
    process.kill(found.pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM') throw new Error(`${name}, process ${found.pid}, belongs to another user`, { cause: error });
    if (code !== 'ESRCH') throw error;
  }
}

/** Sends members a signal and waits until they have ended; a member that takes longer than 10 s gets SIGKILL. */
export async function endMembers(
  { record }: BackgroundCluster,
  members: readonly BackgroundMember[],
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<void> {
  for (const member of members) {
    send(member, signal);
    // A frozen process handles SIGTERM only once it runs again.
    if (member.process?.frozen) send(member, 'SIGCONT');
  }
  const deadline = performance.now() + signalTimeoutMs;
  for (const member of members) {
    for (;;) {
      const found = await processOf(record, member);
      if (found === undefined) break;
      if (performance.now() > deadline) send({ ...member, process: found }, 'SIGKILL');
      await sleep(20);
    }
  }
}

/** Kills the members and removes what {@link createCluster} and {@link startMembers} made, nothing else. */
export async function wipe(folder: string, cluster: BackgroundCluster): Promise<void> {
  await endMembers(cluster, cluster.members, 'SIGKILL');
  for (const member of cluster.members) await rm(member.folder, { recursive: true, force: true });
  await rm(recordPath(folder));
  // Files of others stay, and the folder with them.
  await rmdir(folder).catch(() => {});
}

/** A row for each member: its name, address, state and, when it runs, process id. */
export async function memberRows({ members }: BackgroundCluster): Promise<readonly (readonly string[])[]> {
  return Promise.all(
    members.map(async ({ name, url, metrics, process: found }) => {
      if (found === undefined) return [name, url, 'down'];
      if (found.frozen) return [name, url, 'frozen', `pid ${found.pid}`];
      const [healthy, leader] = await Promise.all([isHealthy(metrics), isLeader(metrics)]);
      return [name, url, healthy ? (leader ? 'leader' : 'healthy') : 'unhealthy', `pid ${found.pid}`];
    }),
  );
}
