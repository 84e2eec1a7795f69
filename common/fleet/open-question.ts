import { type LinkedAbort, linkAbort } from '../async/abort.ts';
import { clock } from '../async/clock.ts';
import { type AskEvent, type AskState, type MemberChange, nextAskState, unasked, verdictOf } from './ask-state.ts';
import { type FleetKeys, newRequestId, requestKey } from './keys.ts';
import { type Outcome, type Progress, progressOfQuestion } from './progress.ts';
import type { Question } from './question.ts';
import { formatRequest, type RequestRecord } from './records.ts';

/** What a question is written with. */
export interface Preparation {
  readonly by: string;
  /** The revision of the instance's record; null when there is none. */
  readonly recordRevision: string | null;
  /** The revision at which that was read. */
  readonly revision: number;
}

/** A request that is to be written. */
export interface Prepared {
  readonly id: string;
  readonly key: string;
  readonly value: Buffer;
  /** Ends the watch of its acknowledgements. */
  readonly signal: AbortSignal;
}

/** What was read at one revision after the question was written. */
export interface Look {
  /** The id of the request when reading began. */
  readonly id: string;
  readonly proxies: readonly MemberChange[];
  readonly acks: readonly MemberChange[];
  readonly recordRevision: string | null;
}

/** What a request is about. */
interface RequestFacts {
  readonly request: RequestRecord;
  readonly recordRevision: string | null;
}

/** One question on its way to its answer. */
export class OpenQuestion {
  readonly #question: Question;
  readonly #beganAt = clock.now();
  #state: AskState = unasked;
  #isToBeAsked = true;
  /** The request that is to be written; undefined when there is none, or it has been written. */
  #prepared: (Prepared & RequestFacts) | undefined;
  /** The request that was written last. */
  #written: RequestFacts | undefined;
  /** Ends the watch of the acknowledgements of the present request. */
  #watch: LinkedAbort | undefined;
  /** Counts the events, so that a look knows whether there were any meanwhile. */
  #events = 0;
  #lookAt = Number.POSITIVE_INFINITY;
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

  /** The request that is to be written; undefined when it has to be made. */
  get prepared(): Prepared | undefined {
    return this.#prepared;
  }

  /** Says that the request is gone, or no longer right. */
  askAgain(): void {
    this.#isToBeAsked = true;
  }

  /** Makes the request to write. `parent` ends the watch of its acknowledgements too. */
  prepare(keys: FleetKeys, { by, recordRevision, revision }: Preparation, parent: AbortSignal): Prepared {
    const question = this.#question;
    const request: RequestRecord =
      question.kind === 'instance'
        ? { ...question, by, revision: recordRevision === null ? revision : Number(recordRevision) }
        : { ...question, by, revision: question.revision ?? revision };
    const id = newRequestId();
    this.#stopWatch();
    this.#watch = linkAbort(parent);
    const written = { key: requestKey(keys, id), value: Buffer.from(formatRequest(request)) };
    this.#prepared = { id, ...written, request, recordRevision, signal: this.#watch.signal };
    return this.#prepared;
  }

  /** Says that the request has been written. */
  asked(): void {
    const prepared = this.#prepared;
    if (prepared === undefined) throw new Error('the question was not prepared');
    this.#prepared = undefined;
    this.#written = prepared;
    this.#isToBeAsked = false;
    this.apply({ kind: 'asked', id: prepared.id, request: prepared.request });
    // At once: what the watch showed before the answer to the write was not taken.
    this.#lookAt = clock.now();
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

  /** Says that reading failed, or that what was written until now may not have been shown: the answers are read at once. */
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
    if (this.key !== null && look.recordRevision !== this.#written?.recordRevision) {
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
