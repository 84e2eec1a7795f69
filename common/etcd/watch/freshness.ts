import { status } from '@grpc/grpc-js';
import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import type { EtcdClient } from '../client/client.ts';
import { EtcdError } from '../client/errors.ts';
import { type ClusterIdentity, type ClusterReset, readHeader } from './cluster-identity.ts';
import type { Watched, WatchStream } from './watch-stream.ts';

/** What an audit found. */
export type Freshness =
  /** The stream showed everything that was there when the audit began. */
  | { readonly kind: 'fresh'; readonly since: number }
  /** Events keep coming, or may, but the member does not say that all watchers are in step. */
  | { readonly kind: 'busy' }
  /** The member does not show what the cluster has. */
  | { readonly kind: 'stale'; readonly error: EtcdError }
  /** Another cluster answers, or this one was put back; confirmed by a second read. */
  | { readonly kind: 'upheaval'; readonly why: ClusterReset };

/** Time for a member to show what the cluster has, milliseconds. */
const grace = 6_000;

/**
 * Compares a stream with the cluster: reads the cluster's revision through a quorum, then asks the stream's member to
 * show it. That a stream is alive is no proof: a member cut off from its cluster answers happily, from its past.
 * @throws {EtcdError} when the cluster cannot be read: nothing is known then
 */
export async function checkFreshness(
  stream: WatchStream<Watched>,
  deps: { readonly client: EtcdClient; readonly cluster: ClusterIdentity; readonly key: Buffer },
  signal: AbortSignal,
): Promise<Freshness> {
  const { client, cluster, key } = deps;
  const since = clock.now();
  const known = cluster.revision;
  const header = await readHeader(client, key, {}, signal);
  const why = await confirmReset(header, { ...deps, known }, signal);
  if (why !== undefined) return { kind: 'upheaval', why };
  const target = Number(header.revision);
  cluster.note(target);
  const askedAt = clock.now();
  while (clock.now() - askedAt < grace && !signal.aborted) {
    stream.requestProgress();
    await proven(stream, target, 500, signal);
    if ((stream.progress?.revision ?? 0) >= target) return { kind: 'fresh', since };
  }
  if (stream.eventRevision >= target) return { kind: 'busy' };
  // Neither answers a grpc-proxy, and nothing is won by opening the same watch on it again: liveness finds out.
  if (stream.progress === undefined && client.hosts.length === 1) return { kind: 'busy' };
  const details = `the member has not shown revision ${target} within ${grace} ms`;
  return { kind: 'stale', error: new EtcdError(`${stream.open.member} watch`, status.DEADLINE_EXCEEDED, details) };
}

/** Waits until the member has said that all watchers have seen `revision`, at most `limit` ms; false when it has not. */
export async function proven(
  stream: WatchStream<Watched>,
  revision: number,
  limit: number,
  signal: AbortSignal,
): Promise<boolean> {
  const end = clock.now() + limit;
  for (let wait = 5; ; wait = Math.min(wait * 2, 100)) {
    if ((stream.progress?.revision ?? 0) >= revision) return true;
    if (clock.now() >= end || signal.aborted) return false;
    await sleep(wait, signal);
  }
}

/**
 * Judges an answer, and asks again, another member if possible, before believing that the cluster is another one or was
 * put back. When that is so, `cluster` takes it over.
 * @throws {EtcdError} when nobody answers the second question; an ABORTED one when only one answer was odd
 */
export async function confirmReset(
  header: { readonly cluster_id: string; readonly revision: string },
  deps: {
    readonly client: EtcdClient;
    readonly cluster: ClusterIdentity;
    readonly key: Buffer;
    /** The highest revision that was known when the question was asked. */
    readonly known: number;
  },
  signal: AbortSignal,
): Promise<ClusterReset | undefined> {
  const { client, cluster, key, known } = deps;
  const generation = cluster.generation;
  const first = cluster.judge(header, known);
  if (first === undefined) return undefined;
  const second = await readHeader(client, key, { avoid: client.status.member }, signal);
  // Somebody else may have found out meanwhile.
  if (cluster.generation !== generation) return first;
  if (cluster.judge(second, known) !== first || second.cluster_id !== header.cluster_id) {
    throw new EtcdError('etcd read', status.ABORTED, `a member answered as if ${first}, another did not`);
  }
  cluster.accept(second);
  return first;
}
