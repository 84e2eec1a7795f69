import { status } from '@grpc/grpc-js';
import { clock } from '../../async/clock.ts';
import { EtcdError, isAnswer, isDenied } from '../client/errors.ts';
import type { Watched, WatchStream } from './watch-stream.ts';

/** How a stream proves that it lives; milliseconds. */
export interface LivenessLimits {
  /** A first answer must have come by then; grpc-js itself would wait for ever. */
  readonly firstAnswer: number;
  /** Silence after which the member is asked. */
  readonly idle: number;
  /** A member that does not answer within this is asked over the same connection in another way, with the same limit. */
  readonly answer: number;
  /** How often to look. */
  readonly tick: number;
}

export const livenessLimits: LivenessLimits = { firstAnswer: 3_000, idle: 3_000, answer: 2_000, tick: 500 };

/** Whether a member answers progress requests: etcd does, etcd's grpc-proxy does not. */
export interface Liveness {
  readonly quiet: boolean;
}

/**
 * Watches over a stream until it is over, and ends it when the member no longer shows that it lives: after some silence
 * it is asked for its progress; when that is not answered, with a unary call on the same connection; when that is not
 * answered either, the stream is dead.
 */
export function watchLiveness(
  stream: WatchStream<Watched>,
  options: { readonly limits?: LivenessLimits } = {},
  signal: AbortSignal,
): Liveness {
  const { limits = livenessLimits } = options;
  let askedAt: number | undefined;
  let unanswered = 0;
  let probing = false;
  let quiet = false;

  const dead = (why: string): void => {
    stream.end(new EtcdError(`${stream.open.member} watch`, status.DEADLINE_EXCEEDED, why));
  };

  const probe = async (): Promise<void> => {
    probing = true;
    try {
      await stream.open
        .probe((rpc) => rpc.maintenance.status({}), limits.answer)
        .catch((error: unknown) => {
          // Only root may ask (etcd 3.5.30): the answer is as good as any.
          if (!(error instanceof EtcdError && isDenied(error.details))) throw error;
        });
      unanswered += 1;
      if (unanswered >= 2 && stream.progress === undefined && stream.pending === 0) quiet = true;
    } catch (error) {
      // A member that answers with an error lives; whether it is of any use is what the audit finds out.
      if (!(error instanceof EtcdError && isAnswer(error))) dead('the member no longer answers');
    } finally {
      probing = false;
      askedAt = undefined;
    }
  };

  const look = (): void => {
    const now = clock.now();
    const silence = now - stream.lastMessageAt;
    if (stream.pending > 0 && silence > limits.firstAnswer) {
      dead(`no answer to a watch request within ${limits.firstAnswer} ms`);
      return;
    }
    if (askedAt !== undefined && stream.lastMessageAt > askedAt) {
      askedAt = undefined;
      unanswered = 0;
    }
    const suspect = stream.open.suspectSince() > stream.lastMessageAt;
    if (askedAt === undefined) {
      if (silence < limits.idle && !suspect) return;
      askedAt = now;
      stream.requestProgress();
      // Another call to this member went without an answer: no need to be patient.
      if (suspect && !probing) void probe();
    } else if (!probing && now - askedAt > limits.answer) void probe();
  };

  const timer = clock.setInterval(look, limits.tick);
  signal.addEventListener('abort', () => clock.clearInterval(timer), { once: true });
  return {
    get quiet() {
      return quiet;
    },
  };
}
