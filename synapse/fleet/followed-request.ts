import type { AckRecord, AckResult, RequestRecord } from '../../common/fleet/records.ts';
import type { Verdict } from './judge.ts';

/** A request that is followed, and what was said about it. Replaced, never changed. */
export interface FollowedRequest {
  readonly id: string;
  readonly record: RequestRecord;
  /** The revision at which it was written: everything up to there must have been applied. */
  readonly revision: number;
  /** When it reached this process, milliseconds of `clock.now()`. */
  readonly seenAt: number;
  /** Everything up to {@link revision} has reached the catalog. */
  readonly isShown: boolean;
  /** From when on it was judged as it is now, milliseconds of `clock.now()`. */
  readonly since: number;
  readonly verdict: Verdict | undefined;
  /** The acknowledgement that was written last; undefined before the first. */
  readonly ack: WrittenAck | undefined;
}

/** An acknowledgement, and when it was handed on, milliseconds of `clock.now()`. */
export interface WrittenAck {
  readonly result: AckResult;
  readonly reason: string | null;
  readonly oldWorkersUnasked: number;
  readonly at: number;
}

/** How the verdict about a request leads to an acknowledgement. */
export interface Judged {
  readonly request: FollowedRequest;
  /** The acknowledgement to write now; undefined: none. */
  readonly write:
    | (Pick<Verdict, 'reason' | 'connections' | 'queued' | 'oldWorkers' | 'oldWorkersUnasked'> & {
        readonly result: AckResult;
      })
    | undefined;
}

/** What is not so is said only when it lasts this long: mostly it is so a moment later, and one write is enough. */
const patienceMs = 2_000;
/** Reasons may change all the time: another one is written this much later at the earliest. */
const reasonEveryMs = 10_000;

/** The request before anything was said about it. */
export function followed(
  id: string,
  record: RequestRecord,
  at: { readonly revision: number; readonly seenAt: number },
): FollowedRequest {
  return { id, record, ...at, isShown: false, since: at.seenAt, verdict: undefined, ack: undefined };
}

/**
 * Takes a verdict. Pure. What was acknowledged and is found not to be so is corrected at once; what cannot be found out for a
 * moment is not.
 */
export function take(request: FollowedRequest, verdict: Verdict, now: number): Judged {
  const isSame = request.verdict?.state === verdict.state;
  const next: FollowedRequest = { ...request, verdict, since: isSame ? request.since : now };
  const { ack } = request;
  const result = resultOf(next, now);
  if (result === undefined) return { request: next, write: undefined };
  const { reason, connections, queued, oldWorkers, oldWorkersUnasked } = verdict;
  if (ack !== undefined && ack.result === result && ack.oldWorkersUnasked === oldWorkersUnasked) {
    const isNews = result === 'cannot' && ack.reason !== reason && now - ack.at >= reasonEveryMs;
    if (!isNews) return { request: next, write: undefined };
  }
  const written = { result, reason, oldWorkersUnasked, at: now };
  return {
    request: { ...next, ack: written },
    write: { result, reason, connections, queued, oldWorkers, oldWorkersUnasked },
  };
}

/** What is to be said now; undefined: nothing new. */
function resultOf({ verdict, since, ack }: FollowedRequest, now: number): AckResult | undefined {
  if (verdict === undefined) return undefined;
  switch (verdict.state) {
    case 'not-yet':
      return (ack !== undefined && ack.result !== 'cannot') || now - since >= patienceMs ? 'cannot' : undefined;
    case 'unknown':
      return now - since >= patienceMs ? 'cannot' : undefined;
    default:
      return verdict.state;
  }
}

/** True when nothing but a change from outside makes another acknowledgement necessary. */
export function isSettled({ record, verdict }: FollowedRequest): boolean {
  if (verdict === undefined) return false;
  if (verdict.oldWorkersUnasked > 0) return false;
  if (verdict.state === 'applied') return record.kind === 'revision' || record.expect === 'up';
  return verdict.state === 'quiet' || verdict.state === 'unused';
}

/** The acknowledgement of a request. */
export function ackOf(
  request: FollowedRequest,
  write: NonNullable<Judged['write']>,
  by: { readonly session: string; readonly appliedAt: string; readonly ms: number },
): AckRecord {
  return { ...write, ...by, revision: request.revision };
}
