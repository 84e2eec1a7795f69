import { status } from '@grpc/grpc-js';
import { clock } from '../../async/clock.ts';
import type { EtcdClient } from '../client/client.ts';
import { EtcdError } from '../client/errors.ts';
import { keyBytes } from '../client/key-value.ts';
import type { ClusterIdentity, ClusterProgress, ClusterReset, IdentityHeader } from './cluster-identity.ts';
import { contradicts, type KnownRecord, readRecord } from './known-record.ts';
import { freshness } from './timing.ts';
import type { Watched, WatchStream } from './watch-stream.ts';

/** Whether a watch stream shows what the cluster has. */
export type Freshness =
  /** The stream has shown everything that was there at `since`, milliseconds of `clock.now()`. */
  | { readonly kind: 'fresh'; readonly since: number }
  /** Events keep coming, or may, but the member does not say that all watchers are in step. */
  | { readonly kind: 'busy' }
  /** The member does not show what the cluster has. */
  | { readonly kind: 'stale'; readonly error: EtcdError }
  /** Another cluster answers, or this one was restored; a second read has confirmed it. */
  | { readonly kind: 'reset'; readonly reset: ClusterReset };

/** What a check needs. */
export interface FreshnessDeps {
  readonly client: EtcdClient;
  readonly cluster: ClusterIdentity;
  /** The start of a range that this user may read. */
  readonly key: Buffer;
  /** What is known of that range. */
  readonly record?: KnownRecord | undefined;
}

/**
 * Compares a stream with the cluster: reads the cluster's revision through a quorum, then asks the stream's member to show
 * it. That a stream is alive proves nothing: a member that is cut off from its cluster still answers, from its past.
 * @throws {EtcdError} when the cluster cannot be read: nothing is known then
 */
export async function checkFreshness(
  stream: WatchStream<Watched>,
  deps: FreshnessDeps,
  signal: AbortSignal,
): Promise<Freshness> {
  const { client, cluster } = deps;
  const since = clock.now();
  const reset = await findReset(deps, signal);
  if (reset !== undefined) return { kind: 'reset', reset };
  const target = cluster.revision;
  const askedAt = clock.now();
  const { graceMs, askEveryMs } = freshness;
  while (clock.now() - askedAt < graceMs && !signal.aborted) {
    stream.requestProgress();
    if (await hasShown(stream, target, askEveryMs, signal)) return { kind: 'fresh', since };
  }
  if (stream.eventRevision >= target) return { kind: 'busy' };
  // A grpc-proxy does not answer, and the same watch on it again would not either: Liveness finds out.
  if (stream.progress === undefined && client.hosts.length === 1) return { kind: 'busy' };
  const details = `the member has not shown revision ${target} within ${graceMs} ms`;
  return { kind: 'stale', error: new EtcdError(`${stream.open.member} watch`, status.DEADLINE_EXCEEDED, details) };
}

/** Waits until the member has said that all watchers of the stream have seen `revision`; false after `limitMs`. */
export async function hasShown(
  stream: WatchStream<Watched>,
  revision: number,
  limitMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const end = clock.now() + limitMs;
  for (;;) {
    if ((stream.progress?.revision ?? 0) >= revision) return true;
    const leftMs = end - clock.now();
    if (leftMs <= 0 || signal.aborted) return false;
    await stream.nextProgress(leftMs, signal);
  }
}

/**
 * Reads through a quorum how far the cluster is, and compares that, and one record, with what is known.
 * @returns why all has to be read again; undefined when nothing speaks for that
 * @throws {EtcdError} when the cluster cannot be read, or one member contradicts another
 */
export async function findReset(deps: FreshnessDeps, signal: AbortSignal): Promise<ClusterReset | undefined> {
  const { client, cluster, record } = deps;
  const known = cluster.progress;
  const { header, entry } = await readRecord(client, questionOf(deps), {}, signal);
  const differs = record !== undefined && contradicts(record, entry);
  return confirmReset({ header, differs }, { ...deps, known }, signal);
}

/** An answer, and whether the record in it contradicts what is known. */
export interface JudgedAnswer {
  readonly header: IdentityHeader;
  readonly differs?: boolean;
}

/**
 * Judges an answer. Before it believes that the cluster is another one or was restored, it asks again, another member if
 * there is one; when that is confirmed, `cluster` accepts it.
 * @param deps `known`: how far the cluster was known to be when the question was asked
 * @throws {EtcdError} when no member answers the second question; an ABORTED one when only the first answer was odd
 */
export async function confirmReset(
  { header, differs = false }: JudgedAnswer,
  deps: FreshnessDeps & { readonly known: ClusterProgress },
  signal: AbortSignal,
): Promise<ClusterReset | undefined> {
  const { client, cluster, record, known } = deps;
  const { generation } = cluster;
  const judge = (one: IdentityHeader, isOther: boolean): ClusterReset | undefined =>
    cluster.judge(one, known) ?? (isOther ? 'history-differs' : undefined);
  const first = judge(header, differs);
  if (first === undefined) {
    cluster.noteRead(header, known);
    return undefined;
  }
  const second = await readRecord(client, questionOf(deps), { avoid: client.status.member }, signal);
  // Confirmed meanwhile by another prefix.
  if (cluster.generation !== generation) return first;
  const isOther = record !== undefined && contradicts(record, second.entry);
  if (judge(second.header, isOther) !== first || second.header.cluster_id !== header.cluster_id) {
    throw new EtcdError('etcd read', status.ABORTED, `one member answered as if ${first}, another did not`);
  }
  cluster.accept(second.header);
  return first;
}

/** The key to read: that of the record, or one that does not exist, below the prefix that this user may read in any case. */
function questionOf({ key, record }: FreshnessDeps): Buffer {
  return record === undefined ? Buffer.concat([key, Buffer.from([0])]) : keyBytes(record.key);
}
