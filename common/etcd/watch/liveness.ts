import { status } from '@grpc/grpc-js';
import { onAbort } from '../../async/abort.ts';
import { clock } from '../../async/clock.ts';
import { EtcdError, isAnswer, isDenied } from '../client/errors.ts';
import type { LivenessLimits } from './timing.ts';
import type { Watched, WatchStream } from './watch-stream.ts';

/**
 * Watches over a stream, and ends it when the member no longer shows that it lives: after some silence it is asked for its
 * progress; when it does not answer, with a unary call on the same connection; when it does not answer that either, the
 * stream is dead.
 */
export class Liveness {
  readonly #stream: WatchStream<Watched>;
  readonly #limits: LivenessLimits;
  /** When the member was asked for its progress; undefined while no answer is due. */
  #askedAt: number | undefined;
  #unanswered = 0;
  #probing = false;
  #answersNoProgress = false;

  constructor(stream: WatchStream<Watched>, limits: LivenessLimits) {
    this.#stream = stream;
    this.#limits = limits;
  }

  /** The member lives but answers no progress requests: etcd does, etcd's grpc-proxy does not. */
  get answersNoProgress(): boolean {
    return this.#answersNoProgress;
  }

  /** Checks the stream from now on, until `signal` aborts. */
  start(signal: AbortSignal): void {
    const timer = clock.setInterval(() => this.#check(), this.#limits.tickMs);
    onAbort(signal, () => clock.clearInterval(timer));
  }

  #check(): void {
    const now = clock.now();
    const { pending, lastMessageAt, open } = this.#stream;
    const { firstAnswerMs, idleMs, answerMs } = this.#limits;
    const silenceMs = now - lastMessageAt;
    if (pending > 0 && silenceMs > firstAnswerMs) {
      this.#endStream(`no answer to a watch request within ${firstAnswerMs} ms`);
      return;
    }
    if (this.#askedAt !== undefined && lastMessageAt > this.#askedAt) {
      this.#askedAt = undefined;
      this.#unanswered = 0;
    }
    const isSuspect = open.suspectSince() > lastMessageAt;
    if (this.#askedAt === undefined) {
      if (silenceMs < idleMs && !isSuspect) return;
      this.#askedAt = now;
      this.#stream.requestProgress();
      // Another call to this member went without an answer: no need to be patient.
      if (isSuspect && !this.#probing) void this.#probe();
    } else if (!this.#probing && now - this.#askedAt > answerMs) void this.#probe();
  }

  async #probe(): Promise<void> {
    this.#probing = true;
    try {
      await this.#askStatus();
      this.#unanswered += 1;
      const { progress, pending } = this.#stream;
      if (this.#unanswered >= 2 && progress === undefined && pending === 0) this.#answersNoProgress = true;
    } catch (error) {
      // A member that answers with an error lives. Whether it is of any use is for freshness.ts to find out.
      if (!(error instanceof EtcdError && isAnswer(error))) this.#endStream('the member no longer answers');
    } finally {
      this.#probing = false;
      this.#askedAt = undefined;
    }
  }

  async #askStatus(): Promise<void> {
    try {
      await this.#stream.open.probe((rpc) => rpc.maintenance.status({}), this.#limits.answerMs);
    } catch (error) {
      // etcd 3.5.30 lets only root ask: that answer is as good as any.
      if (!(error instanceof EtcdError && isDenied(error.details))) throw error;
    }
  }

  #endStream(details: string): void {
    this.#stream.end(new EtcdError(`${this.#stream.open.member} watch`, status.DEADLINE_EXCEEDED, details));
  }
}
