import type { IResponseHeader } from 'etcd3/lib/rpc.js';
import { clock } from '../../async/clock.ts';
import type { EtcdClient } from '../client/client.ts';
import { headerTimeoutMs } from './timing.ts';

/** Why everything that is known has to be read again: another cluster answers, or this one was restored from a backup. */
export type ClusterReset = 'cluster-changed' | 'revision-went-back';

/** Which cluster answers, and the highest revision it has shown: tells a replaced or restored cluster from a stale answer. */
export class ClusterIdentity {
  #id: string | undefined;
  #revision = 0;
  #term: string | undefined;
  #electedAt = Number.NEGATIVE_INFINITY;
  #generation = 0;

  /** The highest revision seen. */
  get revision(): number {
    return this.#revision;
  }

  /** When the leader was last seen to have changed, milliseconds of `clock.now()`; -Infinity before the first time. */
  get electedAt(): number {
    return this.#electedAt;
  }

  /** Counts resets: an answer to a question from before a reset is void. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Compares an answer with what was known when the question was asked. The first answer of all sets the measure.
   * @param knownRevision the highest revision seen by then
   */
  judge(
    header: Pick<IResponseHeader, 'cluster_id' | 'revision'> & Partial<Pick<IResponseHeader, 'raft_term'>>,
    knownRevision = 0,
  ): ClusterReset | undefined {
    // A grpc-proxy itself answers a watch that it has joined to another one, and names no cluster.
    if (header.cluster_id === '0') return undefined;
    const { raft_term: term = this.#term } = header;
    if (term !== this.#term && this.#term !== undefined) this.#electedAt = clock.now();
    this.#term = term;
    this.#id ??= header.cluster_id;
    if (header.cluster_id !== this.#id) return 'cluster-changed';
    if (Number(header.revision) < knownRevision) return 'revision-went-back';
    return undefined;
  }

  /** Takes note of a revision that this cluster has shown. */
  note(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  /** Takes the answers of another cluster, or of this one after a restore, for right from now on. */
  accept(header: Pick<IResponseHeader, 'cluster_id' | 'revision'>): void {
    this.#id = header.cluster_id;
    this.#revision = Number(header.revision);
    this.#generation += 1;
  }
}

/**
 * Reads the cluster's revision through a quorum, from another member than `avoid` if there is one: a member that was frozen
 * can answer once from its past.
 * @param key the start of a range that this user may read
 * @throws {EtcdError} when no member answers
 */
export async function readHeader(
  client: EtcdClient,
  key: Buffer,
  { avoid }: { readonly avoid?: string },
  signal: AbortSignal,
): Promise<IResponseHeader> {
  // A key that does not exist, below the prefix that this user may read in any case.
  const absent = Buffer.concat([key, Buffer.from([0])]);
  const answer = await client.call(
    (rpc) => rpc.kv.range({ key: absent, limit: 1, keys_only: true }),
    { totalMs: headerTimeoutMs, avoid },
    signal,
  );
  return answer.header;
}
