import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '../../common/async/supervise.ts';
import { memberTls } from '../tls/layout.ts';
import { type ClusterRecord, readRecord, recordPath, writeRecord } from './cluster-record.ts';
import { clientUrl, dataFolder, type MemberAddress, memberFlags } from './flags.ts';
import { isHealthy, isLeader } from './health.ts';
import { newToken } from './local-cluster.ts';
import { isFree } from './ports.ts';
import { type Found, findProcess } from './processes.ts';
import { canSkipFsync } from './version.ts';

/** A member of a cluster in the background, as it is now. */
export interface BackgroundMember extends MemberAddress {
  readonly folder: string;
  readonly url: string;
  /** Undefined when it does not run. */
  readonly process: Found | undefined;
}

export interface BackgroundCluster {
  readonly record: ClusterRecord;
  readonly members: readonly BackgroundMember[];
}

export interface NewCluster {
  /** Path of the etcd program. */
  readonly etcd: string;
  /** The first of nine ports on loopback: three for each member. */
  readonly port: number;
  readonly tls: string | null;
}

/** How long members may take, milliseconds. */
const limits = { healthy: 60_000, end: 10_000 } as const;

/** @returns undefined when none was ever started in `folder`, or it was wiped */
export async function lookUp(folder: string): Promise<BackgroundCluster | undefined> {
  const record = await readRecord(folder);
  if (record === undefined) return undefined;
  const members = record.members.map(async (member): Promise<BackgroundMember> => {
    const url = clientUrl(member, record.tls !== null);
    const known = { ...member, folder: join(folder, member.name), url, process: undefined };
    return { ...known, process: await find(record, known) };
  });
  return { record, members: await Promise.all(members) };
}

/** Makes the folder of a cluster that does not exist yet; starts nothing. @throws when the folder is used for other things */
export async function prepare(folder: string, { etcd, port, tls }: NewCluster): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const before = await readdir(folder);
  const members = [1, 2, 3].map((number, index) => {
    const first = port + index * 3;
    return { name: `etcd${number}`, client: first, peer: first + 1, metrics: first + 2 };
  });
  // It would be wiped one day: the certificates of a member, for example.
  const taken = members.find(({ name }) => before.includes(name));
  if (taken !== undefined) throw new Error(`${join(folder, taken.name)} is somebody else's: name another folder`);
  await writeRecord(folder, { etcd, token: newToken(), members, tls });
}

/**
 * Starts the members that do not run, and waits until they are healthy. They outlive this process.
 * @throws when a port is taken, or a member ends or does not get healthy in time, with the end of what it said
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
  const end = performance.now() + limits.healthy;
  for (const member of missing) {
    while (!(await isHealthy(member.metrics))) {
      const late = performance.now() > end;
      if (late || (await find(record, member)) === undefined) {
        const what = late ? `is not healthy after ${limits.healthy / 1_000} s` : 'ended at once';
        throw new Error(`${member.name} ${what}; the end of ${logFile(member)}:\n${await logEnd(member)}`);
      }
      await sleep(100);
    }
  }
}

async function launch(record: ClusterRecord, member: BackgroundMember): Promise<void> {
  const { etcd, token, members, tls } = record;
  await mkdir(member.folder, { recursive: true, mode: 0o700 });
  const unsafe = await canSkipFsync(etcd);
  const own = tls === null ? undefined : memberTls(tls, member.name);
  const flags = memberFlags(member, member.folder, { members, token, unsafe, ...(own && { tls: own }) });
  const log = openSync(logFile(member), 'a');
  // A session of its own: neither Ctrl-C nor the end of the terminal reaches it.
  const child = spawn(etcd, flags, {
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH ?? '' },
  });
  closeSync(log);
  await once(child, 'spawn');
  child.unref();
}

function logFile(member: BackgroundMember): string {
  return join(member.folder, 'etcd.log');
}

async function logEnd(member: BackgroundMember): Promise<string> {
  const text = await readFile(logFile(member), 'utf8').catch(() => '');
  return text.trim().split('\n').slice(-5).join('\n');
}

/** Stops a member by SIGSTOP, or lets it go on, and waits until it has. */
export async function freeze({ record }: BackgroundCluster, member: BackgroundMember, frozen: boolean): Promise<void> {
  send(member, frozen ? 'SIGSTOP' : 'SIGCONT');
  for (let left = limits.end; left > 0; left -= 20) {
    const now = await find(record, member);
    if (now === undefined || now.frozen === frozen) return;
    await sleep(20);
  }
}

function find({ etcd }: ClusterRecord, { name, folder }: BackgroundMember): Promise<Found | undefined> {
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

/** Ends members, in order or by SIGKILL, and waits until they are gone. */
export async function endMembers(
  { record }: BackgroundCluster,
  members: readonly BackgroundMember[],
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<void> {
  for (const member of members) {
    send(member, signal);
    // A frozen one hears of it only now.
    if (member.process?.frozen) send(member, 'SIGCONT');
  }
  const end = performance.now() + limits.end;
  for (const member of members) {
    for (;;) {
      const found = await find(record, member);
      if (found === undefined) break;
      if (performance.now() > end) send({ ...member, process: found }, 'SIGKILL');
      await sleep(20);
    }
  }
}

/** Kills the members and removes what {@link prepare} and {@link startMembers} made, nothing else. */
export async function wipe(folder: string, cluster: BackgroundCluster): Promise<void> {
  await endMembers(cluster, cluster.members, 'SIGKILL');
  for (const member of cluster.members) await rm(member.folder, { recursive: true, force: true });
  await rm(recordPath(folder));
  // What others put there stays, and the folder with it.
  await rmdir(folder).catch(() => {});
}

/** One line for each member. */
export async function describe(cluster: BackgroundCluster): Promise<readonly (readonly string[])[]> {
  return Promise.all(
    cluster.members.map(async ({ name, url, metrics, process: found }) => {
      if (found === undefined) return [name, url, 'down'];
      if (found.frozen) return [name, url, 'frozen', `pid ${found.pid}`];
      const [healthy, leader] = await Promise.all([isHealthy(metrics), isLeader(metrics)]);
      return [name, url, healthy ? (leader ? 'leader' : 'healthy') : 'unhealthy', `pid ${found.pid}`];
    }),
  );
}
