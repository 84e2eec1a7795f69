import { type LinkedAbort, linkAbort } from '../async/abort.ts';
import { clock } from '../async/clock.ts';
import { type AskEvent, type AskState, type MemberChange, nextAskState, unasked, verdictOf } from './ask-state.ts';
import { type FleetKeys, newRequestId, requestKey } from './keys.ts';
import { type Outcome, type Progress, progressOfQuestion } from './progress.ts';
import type { Question } from './question.ts';
import { formatRequest, type RequestRecord } from './records.ts';
import { earlyLook } from './timing.ts';

/** What a question is written with. */
export interface Preparation {
  readonly by: string;
  /** The revision of the instance's record; null when there is none. */
  readonly recordRevision: string | null;
  /** The revision at which that was read. */
  readonly revision: number;
}

/** What was read at one revision after the question was written. */
export interface Look {
  /** The id of the request when reading began. */
  readonly id: string;
  readonly proxies: readonly MemberChange[];
  readonly acks: readonly MemberChange[];
  readonly recordRevision: string | null;
}

/** One question on its way to its answer. */
export class OpenQuestion {
  readonly #question: Question;
  readonly #beganAt = clock.now();
  #state: AskState = unasked;
  #isToBeAsked = true;
  #prepared:
    | { readonly id: string; readonly request: RequestRecord; readonly recordRevision: string | null }
    | undefined;
  /** Ends the watch of the acknowledgements of the present request. */
  #watch: LinkedAbort | undefined;
  /** Counts the events, so that a look knows whether there were any meanwhile. */
  #events = 0;
  #lookAt = Number.POSITIVE_INFINITY;
  /** When the present request was written. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #end: { readonly outcome: Outcome; readonly reason: string | null; readonly at: number } | undefined;

  constructor(question: Question) {
    this.#question = question;
  }

  get state(): AskState {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#end === undefined;
  }

  get isToBeAsked(): boolean {
    return this.#isToBeAsked;
  }

  /** The key of the instance; null for a question about everything. */
  get key(): string | null {
    return this.#question.kind === 'instance' ? this.#question.key : null;
  }

  /** When the answers are to be read, milliseconds of `clock.now()`. */
  get lookAt(): number {
    return this.#isToBeAsked ? Number.POSITIVE_INFINITY : this.#lookAt;
  }

  get progress(): Progress {
    const { outcome = 'waiting', reason = null, at = clock.now() } = this.#end ?? {};
    return progressOfQuestion(this.#question, this.#state, at - this.#beganAt, { outcome, reason });
  }

  /** Says that the request is gone, or no longer right. */
  askAgain(): void {
    this.#isToBeAsked = true;
  }

  /** Makes the request to write. */
  prepare(keys: FleetKeys, { by, recordRevision, revision }: Preparation): { id: string; key: string; value: Buffer } {
    const question = this.#question;
    const request: RequestRecord =
      question.kind === 'instance'
        ? { ...question, by, revision: recordRevision === null ? revision : Number(recordRevision) }
        : { ...question, by, revision: question.revision ?? revision };
    const id = newRequestId();
    this.#prepared = { id, request, recordRevision };
    return { id, key: requestKey(keys, id), value: Buffer.from(formatRequest(request)) };
  }

  /** Says that the request has been written. @returns a signal that ends the watch of its acknowledgements */
  asked(parent: AbortSignal): AbortSignal {
    const prepared = this.#prepared;
    if (prepared === undefined) throw new Error('the question was not prepared');
    this.#stopWatch();
    this.#isToBeAsked = false;
    this.apply({ kind: 'asked', id: prepared.id, request: prepared.request });
    this.#askedAt = clock.now();
    this.#lookAt = this.#askedAt;
    this.#watch = linkAbort(parent);
    return this.#watch.signal;
  }

  apply(event: AskEvent): void {
    const next = nextAskState(this.#state, event);
    if (next === this.#state || !this.isOpen) return;
    this.#state = next;
    if (event.kind === 'trouble') return;
    this.#events += 1;
    // It may be complete: only a read at one revision shows that.
    if (verdictOf(next) !== 'waiting') this.#lookAt = clock.now();
  }

  isLookDue(now: number): boolean {
    return this.lookAt <= now;
  }

  /** Says that the answers are being read, and when they are to be read again. @returns what {@link endLook} needs */
  beginLook(nextAt: number): number {
    this.#lookAt = nextAt;
    return this.#events;
  }

  /** While the watch of the answers may lag: reads them again soon. `tookMs`: how long reading took. */
  lookEarly(tookMs: number): void {
    const now = clock.now();
    if (now - this.#askedAt > earlyLook.forMs) return;
    this.#lookAt = Math.min(this.#lookAt, now + Math.max(earlyLook.leastMs, tookMs * earlyLook.tookFactor));
  }

  /** Says that reading failed. */
  lookAgain(): void {
    this.#lookAt = clock.now();
  }

  /** Takes what was read. `events` is what {@link beginLook} returned. */
  endLook(events: number, look: Look): void {
    // Asked again meanwhile: these are answers to the former request.
    if (!this.isOpen || this.#isToBeAsked || look.id !== this.#state.id) return;
    const { id: request, proxies, acks } = look;
    const seen = nextAskState(nextAskState(this.#state, { kind: 'proxies', changes: proxies, whole: true }), {
      kind: 'acks',
      request,
      changes: acks,
      whole: true,
    });
    const verdict = verdictOf(seen);
    const isLatest = events === this.#events;
    if (isLatest) this.#state = seen;
    // Newer events are known, and they contradict: the next look decides.
    if (verdict === 'waiting' || (!isLatest && verdictOf(this.#state) !== verdict)) return;
    if (this.key !== null && look.recordRevision !== this.#prepared?.recordRevision) {
      // The acknowledgements are about an earlier record.
      this.#isToBeAsked = true;
      return;
    }
    this.#state = seen;
    this.end(verdict);
  }

  /** Ends the question; what comes later is ignored. */
  end(outcome: Outcome, reason: string | null = null): void {
    if (!this.isOpen) return;
    this.#end = { outcome, reason, at: clock.now() };
    this.#stopWatch();
  }

  #stopWatch(): void {
    this.#watch?.abort();
    this.#watch?.release();
    this.#watch = undefined;
  }
}
