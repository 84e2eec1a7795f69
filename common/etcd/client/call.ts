import { status } from '@grpc/grpc-js';
import { jittered } from '../../async/backoff.ts';
import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import type { Rpc } from './connection.ts';
import { EtcdError, etcdError, isPermanent, isStaleToken } from './errors.ts';
import type { Member, MemberCall } from './member.ts';
import type { MemberPool } from './member-pool.ts';
import { callLimits, roundBackoff, shortestAttemptMs } from './timing.ts';

/** Limits of one call. */
export interface CallOptions {
  /** For each member that is tried, default 2 s. */
  readonly attemptMs?: number;
  /** For all of it, default 8 s. */
  readonly totalMs?: number;
  /** Default: as many as fit into the time. 1 for a call that must not be sent twice. */
  readonly maxTries?: number;
  /** The address of a member that is not used while another one works. */
  readonly avoid?: string | undefined;
}

/** One call under way: tries one member after the other until one answers, or the time is over. */
export class Call<T> {
  readonly #pool: MemberPool;
  readonly #run: (rpc: Rpc) => Promise<T>;
  readonly #attemptMs: number;
  readonly #maxTries: number;
  readonly #avoid: string | undefined;
  readonly #clientSignal: AbortSignal;
  readonly #signal: AbortSignal | undefined;
  /** Milliseconds of `clock.now()`. */
  readonly #end: number;
  #tries = 0;
  #lastError: EtcdError | undefined;

  /** @param signals the client's, and the call's own */
  constructor(
    pool: MemberPool,
    run: (rpc: Rpc) => Promise<T>,
    options: CallOptions,
    [clientSignal, signal]: readonly [AbortSignal, AbortSignal | undefined],
  ) {
    this.#pool = pool;
    this.#run = run;
    this.#attemptMs = options.attemptMs ?? callLimits.attemptMs;
    this.#maxTries = options.maxTries ?? Number.POSITIVE_INFINITY;
    this.#avoid = options.avoid;
    this.#clientSignal = clientSignal;
    this.#signal = signal;
    this.#end = clock.now() + (options.totalMs ?? callLimits.totalMs);
  }

  /** @throws {EtcdError} etcd's answer when that is final; otherwise how the last try failed */
  async result(): Promise<T> {
    for (let round = 0; ; round += 1) {
      const answer = await this.#tryEachMember();
      if (answer !== undefined) return answer.value;
      if (this.#tries >= this.#maxTries) continue;
      const delayMs = Math.min(jittered(roundBackoff, round), this.#end - clock.now());
      await sleep(delayMs, this.#signal ?? this.#clientSignal);
    }
  }

  async #tryEachMember(): Promise<{ readonly value: T } | undefined> {
    let mayRenewToken = true;
    for (const member of this.#pool.inOrder(this.#avoid)) {
      let answer = await this.#try(member);
      if (answer instanceof EtcdError && isStaleToken(answer.details) && mayRenewToken) {
        // The refused token was dropped: once more with a new one. When that is refused too, the token is not the reason.
        mayRenewToken = false;
        this.#tries -= 1;
        answer = await this.#try(member);
      }
      if (!(answer instanceof EtcdError)) return answer;
    }
    return undefined;
  }

  /**
   * Tries one member.
   * @returns what it answered, or how it failed when another member may answer better
   * @throws {EtcdError} when the failure is final, or there is no time for another try
   */
  async #try(member: Member): Promise<{ readonly value: T } | EtcdError> {
    const leftMs = this.#end - clock.now();
    if (this.#isAborted) throw new EtcdError('etcd call', status.CANCELLED, 'aborted');
    const isOver = this.#tries >= this.#maxTries || leftMs < Math.min(this.#attemptMs, shortestAttemptMs);
    if (this.#lastError !== undefined && isOver) throw this.#lastError;
    this.#tries += 1;
    let call: MemberCall | undefined;
    try {
      call = await member.rpc(Math.max(1, Math.min(this.#attemptMs, leftMs)), this.#signal);
      const value = await this.#run(call.rpc);
      this.#pool.succeeded(member);
      return { value };
    } catch (cause) {
      const error = etcdError(member.url, cause);
      this.#lastError = error;
      if (this.#isAborted) throw error;
      if (!isPermanent(error)) {
        this.#pool.failed(member, error, call ?? {});
        return error;
      }
      // The member works: it is the call that cannot.
      this.#pool.succeeded(member);
      throw error;
    }
  }

  get #isAborted(): boolean {
    return this.#clientSignal.aborted || this.#signal?.aborted === true;
  }
}
