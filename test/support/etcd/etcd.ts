import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Log, silentLog } from '../../../common/daemon/log.ts';
import { createLog } from '../../../common/daemon/stderr-log.ts';
import { createEtcdClient, type EtcdClient } from '../../../common/etcd/client/client.ts';
import type { Rpc } from '../../../common/etcd/client/connection.ts';
import { prefixRange } from '../../../common/etcd/client/key-value.ts';
import { list } from '../../../common/etcd/watch/list.ts';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';
import {
  type LocalCluster,
  type LocalClusterOptions,
  startCluster,
} from '../../../etcd-cluster/members/local-cluster.ts';
import { patienceMs } from '../eventually.ts';

/** The releases on which every test of the etcd layer runs: Debian 12's, and a recommended one. */
export const etcdVersions = ['3.4', '3.5'] as const;
/** A version of etcd that the tests run. */
export type EtcdVersion = (typeof etcdVersions)[number];

/** The etcd program of a version: from `ETCD_34` or `ETCD_35`, else found or fetched. @throws when it cannot be found */
export async function etcdProgram(version: EtcdVersion): Promise<string> {
  return process.env[`ETCD_${version.replace('.', '')}`] ?? (await findProgram('etcd', { version }));
}

/** Starts a cluster in a folder of its own, in memory where there is room: etcd 3.4 waits for the disk at each write. */
export async function testCluster(
  version: EtcdVersion,
  options: Omit<Partial<LocalClusterOptions>, 'etcd' | 'dataDir'> = {},
): Promise<LocalCluster> {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const dataDir = join(parent, `etcd-test-${process.pid}-${randomBytes(4).toString('hex')}`);
  return startCluster({ etcd: await etcdProgram(version), dataDir, log: testLog(), ...options });
}

/** Logs nothing, or everything with `TEST_LOG=1`. */
export function testLog(): Log {
  return process.env.TEST_LOG ? createLog('test', 'debug') : silentLog;
}

/** A client for writing and checking, beside the one under test. */
export function directClient(cluster: Pick<LocalCluster, 'urls'>, signal: AbortSignal): EtcdClient {
  return createEtcdClient({ hosts: cluster.urls }, { log: silentLog }, signal);
}

/** The same client, with the stubs that `change` makes for each try and each stream. */
export function withRpc(client: EtcdClient, change: (rpc: Rpc) => Rpc): EtcdClient {
  return {
    hosts: client.hosts,
    get status() {
      return client.status;
    },
    call: (run, options, signal) => client.call((rpc) => run(change(rpc)), options, signal),
    open: (start, options, signal) => client.open((rpc) => start(change(rpc)), options, signal),
  };
}

/** Puts a key, under no lease by default. @returns its revision */
export async function put(client: EtcdClient, key: string, value: string | Buffer, lease = '0'): Promise<number> {
  const answer = await client.call((rpc) => rpc.kv.put({ key: Buffer.from(key), value: Buffer.from(value), lease }), {
    totalMs: patienceMs,
  });
  return Number(answer.header.revision);
}

/** Grants a lease, which nothing renews. @returns its id */
export async function grantLease(client: EtcdClient, ttl: number): Promise<string> {
  const { ID } = await client.call((rpc) => rpc.lease.leaseGrant({ TTL: ttl }), { totalMs: patienceMs });
  return ID;
}

/** Writes until etcd refuses to, because its quota is exhausted. */
export async function exhaustQuota(client: EtcdClient): Promise<void> {
  const value = Buffer.alloc(1024 * 1024, 'x');
  await assert.rejects(async () => {
    for (let i = 0; i < 64; i++) await client.call((rpc) => rpc.kv.put({ key: Buffer.from(`/full/${i}`), value }));
  }, /database space exceeded/);
}

/** Deletes a key. @returns the revision of the delete */
export async function remove(client: EtcdClient, key: string): Promise<number> {
  const answer = await client.call((rpc) => rpc.kv.deleteRange({ key: Buffer.from(key) }), { totalMs: patienceMs });
  return Number(answer.header.revision);
}

/** Compacts the history up to now. */
export async function compact(client: EtcdClient): Promise<void> {
  const { header } = await client.call((rpc) => rpc.kv.range({ key: Buffer.from('x') }));
  await client.call((rpc) => rpc.kv.compact({ revision: header.revision, physical: true }));
}

/** What etcd has under a prefix now, read through a quorum: key to value. */
export async function dump(client: EtcdClient, prefix: string): Promise<Record<string, string>> {
  const { entries } = await list(client, prefixRange(prefix), AbortSignal.timeout(patienceMs));
  return Object.fromEntries([...entries].map(([key, entry]) => [key, entry.value.toString()] as const).sort());
}

/** The number in a port's URL. */
export function portOf(url: string): number {
  const port = Number(new URL(url).port);
  assert.ok(port > 0, `no port in ${url}`);
  return port;
}
