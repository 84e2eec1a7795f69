import type { IResponseHeader } from 'etcd3/lib/rpc.js';
import { clock } from '../../async/clock.ts';
import type { EtcdClient } from '../client/client.ts';

/** Why everything that is known must be read again. */
export type ClusterReset = 'cluster-changed' | 'revision-went-back';

/** Which cluster answers, and the highest revision it has shown: what tells a replaced or restored cluster from a stale answer. */
export class ClusterIdentity {
  #id: string | undefined;
  #revision = 0;
  #term: string | undefined;
  /** When the leader was last seen to have changed, milliseconds of `clock.now()`; -Infinity while it has not. */
  electedAt = Number.NEGATIVE_INFINITY;
  /** Counts replacements: what was asked for before one and answered after it is void. */
  generation = 0;

  /** The highest revision seen. */
  get revision(): number {
    return this.#revision;
  }

  /** Compares an answer with what was known when it was asked for; the first answer is the measure. */
  judge(
    header: Pick<IResponseHeader, 'cluster_id' | 'revision'> & Partial<Pick<IResponseHeader, 'raft_term'>>,
    knownRevision = 0,
  ): ClusterReset | undefined {
    // What a grpc-proxy adds to a watch that it has already is its own word, and names no cluster.
    if (header.cluster_id === '0') return undefined;
    const { raft_term: term = this.#term } = header;
    if (term !== this.#term && this.#term !== undefined) this.electedAt = clock.now();
    this.#term = term;
    this.#id ??= header.cluster_id;
    if (header.cluster_id !== this.#id) return 'cluster-changed';
    if (Number(header.revision) < knownRevision) return 'revision-went-back';
    return undefined;
  }

  /** Takes note of a revision this cluster has shown. */
  note(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  /** The answers of another cluster, or of this one put back, are right from now on. */
  accept(header: Pick<IResponseHeader, 'cluster_id' | 'revision'>): void {
    this.#id = header.cluster_id;
    this.#revision = Number(header.revision);
    this.generation += 1;
  }
}

/**
 * Reads the header again, from another member if there is one, because a member that was frozen can answer once from
 * its past. Linearizable.
 * @throws {EtcdError} when nobody answers
 */
export async function readHeader(
  client: EtcdClient,
  key: Buffer,
  options: { readonly avoid?: string },
  signal: AbortSignal,
): Promise<IResponseHeader> {
  // A key that does not exist, below the prefix that we may read in any case.
  const absent = Buffer.concat([key, Buffer.from([0])]);
  const answer = await client.call(
    (rpc) => rpc.kv.range({ key: absent, limit: 1, keys_only: true }),
    { totalMs: 5_000, avoid: options.avoid },
    signal,
  );
  return answer.header;
}
