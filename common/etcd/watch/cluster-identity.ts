import type { IResponseHeader } from 'etcd3/lib/rpc.js';
import { clock } from '../../async/clock.ts';

/** Why everything that is known has to be read again: another cluster answers, or this one was restored from a backup. */
export type ClusterReset = 'cluster-changed' | 'revision-went-back' | 'term-went-back' | 'history-differs';

/** How far a cluster had come by some moment: revision and term never fall, unless the cluster is put back from a backup. */
export interface ClusterProgress {
  /** See {@link ClusterIdentity.generation}. */
  readonly generation: number;
  readonly revision: number;
  /** Raft's term, which each election raises; a restored cluster begins with a low one. */
  readonly term: number;
}

/** The part of a header that tells clusters apart; without a term, that is not compared. */
export type IdentityHeader = Pick<IResponseHeader, 'cluster_id' | 'revision'> &
  Partial<Pick<IResponseHeader, 'raft_term'>>;

/** Which cluster answers, and how far it has come: tells a replaced or restored cluster from a stale answer. */
export class ClusterIdentity {
  #id: string | undefined;
  #revision = 0;
  /** The highest term that a read through a quorum has shown: a member on its own may be ahead, or behind. */
  #provenTerm = 0;
  #term: string | undefined;
  #electedAt = Number.NEGATIVE_INFINITY;
  #generation = 0;

  /** The highest revision seen. */
  get revision(): number {
    return this.#revision;
  }

  /** How far the cluster has come, to be taken before a question is asked. */
  get progress(): ClusterProgress {
    return { generation: this.#generation, revision: this.#revision, term: this.#provenTerm };
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
   * @param known default: for messages of a stream, which may come from a moment ago
   */
  judge(
    header: IdentityHeader,
    known: Pick<ClusterProgress, 'revision' | 'term'> = { revision: 0, term: this.#provenTerm },
  ): ClusterReset | undefined {
    // A grpc-proxy itself answers a watch that it has joined to another one, and names no cluster.
    if (header.cluster_id === '0') return undefined;
    const { raft_term: term = this.#term } = header;
    if (term !== this.#term && this.#term !== undefined) this.#electedAt = clock.now();
    this.#term = term;
    this.#id ??= header.cluster_id;
    if (header.cluster_id !== this.#id) return 'cluster-changed';
    if (termOf(header) < known.term) return 'term-went-back';
    if (Number(header.revision) < known.revision) return 'revision-went-back';
    return undefined;
  }

  /** Takes note of a revision that this cluster has shown. */
  note(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  /** Takes note of an answer to a read through a quorum, unless it is from before a reset. */
  noteRead(header: IdentityHeader, { generation }: ClusterProgress): void {
    if (generation !== this.#generation) return;
    this.note(Number(header.revision));
    if (header.raft_term !== undefined) this.#provenTerm = Math.max(this.#provenTerm, Number(header.raft_term));
  }

  /** Takes the answers of another cluster, or of this one after a restore, for right from now on. */
  accept(header: IdentityHeader): void {
    this.#id = header.cluster_id;
    this.#revision = Number(header.revision);
    this.#provenTerm = Number(header.raft_term ?? 0);
    this.#generation += 1;
  }
}

/** The term of an answer; one that has none is not compared. */
function termOf({ raft_term: term }: IdentityHeader): number {
  return term === undefined || term === '0' ? Number.POSITIVE_INFINITY : Number(term);
}
