import { setMaxListeners } from 'node:events';
import { type LinkedAbort, linkAbort } from '../async/abort.ts';
import { jittered } from '../async/backoff.ts';
import { clock } from '../async/clock.ts';
import { WakeableSleep } from '../async/sleep.ts';
import { type Log, reasonOf } from '../daemon/log.ts';
import type { EtcdClient } from '../etcd/client/client.ts';
import { EtcdError, isDenied, isLeaseNotFound } from '../etcd/client/errors.ts';
import { keyRange } from '../etcd/client/key-value.ts';
import { LeaseHolder } from '../etcd/keys/lease.ts';
import { AnswersWatch, type ChangedKey } from './answers-watch.ts';
import { type AskState, verdictOf } from './ask-state.ts';
import { acksPrefix, type FleetKeys, fleetKeys, requestKey } from './keys.ts';
import { type Look, OpenQuestion, type Prepared } from './open-question.ts';
import type { FleetConfig } from './options.ts';
import type { Progress } from './progress.ts';
import type { Question } from './question.ts';
import { acksAmong, proxiesAmong, readAnswers } from './read-answers.ts';
import {
  askBackoff,
  lookEveryMs,
  progressMs,
  proxiesPerGatherMs,
  removeTimeoutMs,
  requestTtlSeconds,
} from './timing.ts';

/** What is asked, and how. */
export interface AskOptions {
  readonly fleet: FleetConfig;
  /** Who asks, for people: `nerve on host-a`. */
  readonly by: string;
  /** All are asked at once, under one lease. */
  readonly questions: readonly Question[];
  readonly timeoutMs: number;
}

/** What asking needs from outside. */
export interface AskDeps {
  readonly log: Log;
  /** Called with how far each question is, in the order of the questions: at changes, and once a second. */
  readonly onProgress?: (progress: readonly Progress[]) => void;
}

/** How one question ended, and all that is known of the answers. */
export interface Answer {
  readonly progress: Progress;
  readonly state: AskState;
}

/** How the questions ended. */
export interface Asked {
  /** In the order of the questions. */
  readonly answers: readonly Answer[];
  /** Resolves when the requests are gone from etcd, after {@link removeTimeoutMs} at most. The answers need not wait for it. */
  readonly removed: Promise<void>;
}

/**
 * Asks all synapses of a fleet, and follows their acknowledgements until every question has its answer or the time is over.
 * Then the requests are removed. An end as `done` is read from etcd through a quorum: proxies, acknowledgements and the
 * record of the instance at one revision. Never rejects: when `signal` aborts, the questions end as they are.
 */
export async function askFleet(
  client: EtcdClient,
  options: AskOptions,
  deps: AskDeps,
  signal: AbortSignal,
): Promise<Asked> {
  const link = linkAbort(signal);
  try {
    return await new Asking(client, options, deps, link).run();
  } finally {
    link.release();
    link.abort();
  }
}

class Asking {
  readonly #client: EtcdClient;
  readonly #options: AskOptions;
  readonly #deps: AskDeps;
  readonly #keys: FleetKeys;
  /** Ends everything: the caller's signal, and the end of the last question. */
  readonly #link: LinkedAbort;
  readonly #holder: LeaseHolder;
  readonly #watch: AnswersWatch;
  readonly #questions: readonly OpenQuestion[];
  readonly #awake = new WakeableSleep();
  #failures = 0;
  #reason: string | null = null;
  #toldAt = Number.NEGATIVE_INFINITY;
  #told: readonly AskState[] = [];

  constructor(client: EtcdClient, options: AskOptions, deps: AskDeps, link: LinkedAbort) {
    this.#client = client;
    this.#options = options;
    this.#deps = deps;
    this.#keys = fleetKeys(options.fleet.path);
    this.#link = link;
    // Each question and each call listens to it.
    setMaxListeners(0, link.signal);
    const log = quiet(deps.log);
    const onWatching = (): void => {
      for (const question of this.#open) question.lookAgain();
      this.#awake.wake();
    };
    this.#watch = new AnswersWatch(client, { log, onWatching }, link.signal);
    this.#questions = options.questions.map((question) => new OpenQuestion(question));
    const onGranted = (): void => {
      // What was asked under an earlier lease has gone with it.
      for (const question of this.#open) question.askAgain();
      this.#awake.wake();
    };
    this.#holder = new LeaseHolder(client, { ttlSeconds: requestTtlSeconds }, { log, onGranted }, link.signal);
  }

  async run(): Promise<Asked> {
    const { signal } = this.#link;
    const timer = clock.setTimeout(() => this.#timeIsOver(), this.#options.timeoutMs);
    this.#holder.start();
    this.#followProxies();
    this.#watch.start();
    while (this.#open.length > 0 && !signal.aborted) {
      await this.#step(signal);
      this.#tell();
      if (this.#open.length > 0) await this.#awake.sleep(this.#waitMs(), signal);
    }
    clock.clearTimeout(timer);
    this.#tell({ now: true });
    const removed = this.#holder.revokeAll(removeTimeoutMs).catch((error) => {
      this.#deps.log.debug('a request could not be removed, it goes when its lease expires', {
        reason: reasonOf(error),
      });
    });
    return { answers: this.#questions.map(({ progress, state }) => ({ progress, state })), removed };
  }

  #timeIsOver(): void {
    for (const question of this.#open) question.end('timeout');
    // Also ends the calls that are under way.
    this.#link.abort();
  }

  get #open(): readonly OpenQuestion[] {
    return this.#questions.filter(({ isOpen }) => isOpen);
  }

  /** Writes what is to be asked, and reads the answers of those that may be complete. */
  async #step(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all(this.#open.map((question) => this.#write(question, signal)));
      const now = clock.now();
      const due = this.#open.filter((question) => question.isLookDue(now));
      if (due.length > 0) await this.#look(due, signal);
      this.#failures = 0;
      this.#reason = null;
    } catch (error) {
      if (signal.aborted) return;
      this.#reason = reasonOf(error);
      this.#failures += 1;
    }
    const trouble = this.#reason ?? this.#holder.reason ?? this.#watch.reason;
    for (const question of this.#open) question.apply({ kind: 'trouble', reason: trouble });
  }

  /** How long to wait for an event before the next step. */
  #waitMs(): number {
    if (this.#failures > 0) return jittered(askBackoff, this.#failures - 1);
    const tellMs = this.#hasNews ? this.#toldAt + progressMs.least - clock.now() : progressMs.most;
    return Math.min(tellMs, ...this.#open.map(({ lookAt }) => lookAt - clock.now()));
  }

  /** Something has happened that {@link AskDeps.onProgress} has not been told. */
  get #hasNews(): boolean {
    return this.#questions.some(({ state }, index) => state !== this.#told[index]);
  }

  /** Puts the request of a question that is to be asked; without a lease, only prepares it. */
  async #write(question: OpenQuestion, signal: AbortSignal): Promise<void> {
    if (!question.isToBeAsked) return;
    let lease: string | null = null;
    try {
      const { key, value } = question.prepared ?? (await this.#prepare(question, signal));
      lease = this.#holder.id;
      if (lease === null) return;
      const under = lease;
      await this.#client.call((rpc) => rpc.kv.put({ key: Buffer.from(key), value, lease: under }), {}, signal);
      question.asked();
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      // A new lease is on its way; the question is asked again under it.
      if (lease !== null && isLeaseNotFound(error)) this.#holder.lost(lease);
      else if (isDenied(error.details)) question.end('denied', `etcd does not allow it: ${reasonOf(error)}`);
      else throw error;
    }
  }

  /** Makes the request, and watches its acknowledgements from before it is written: a watch that begins late lags at first. */
  async #prepare(question: OpenQuestion, signal: AbortSignal): Promise<Prepared> {
    const { key } = keyRange(question.key ?? this.#keys.requests);
    const found = await this.#client.call((rpc) => rpc.kv.range({ key }), {}, signal);
    const recordRevision = found.kvs[0]?.mod_revision ?? null;
    const preparation = { by: this.#options.by, recordRevision, revision: Number(found.header.revision) };
    const prepared = question.prepare(this.#keys, preparation, this.#link.signal);
    this.#followAcks(question, prepared);
    return prepared;
  }

  /** Reads proxies, acknowledgements and records at one revision, and ends the questions that have their answers. */
  async #look(questions: readonly OpenQuestion[], signal: AbortSignal): Promise<void> {
    const nextAt = clock.now() + (this.#watch.isWatching ? lookEveryMs.watched : lookEveryMs.unwatched);
    const before = questions.map((question) => question.beginLook(nextAt));
    try {
      const looks = await readAnswers(this.#client, { keys: this.#keys, questions }, signal);
      for (const [index, question] of questions.entries()) {
        question.endLook(before[index] as number, looks[index] as Look);
        if (!question.isOpen && this.#open.length > 0) this.#remove(question);
      }
    } catch (error) {
      if (!(error instanceof EtcdError && isDenied(error.details))) {
        for (const question of questions) question.lookAgain();
        throw error;
      }
      for (const question of questions) question.end('denied', `etcd does not allow it: ${reasonOf(error)}`);
    }
    if (
      questions.some((question) => question.isOpen && (question.isToBeAsked || verdictOf(question.state) !== 'waiting'))
    )
      this.#awake.wake();
  }

  #followProxies(): void {
    const onChange = (changed: readonly ChangedKey[]): void => {
      const changes = proxiesAmong(this.#keys, changed);
      for (const question of this.#open) question.apply({ kind: 'proxies', changes, whole: false });
      this.#awake.wake();
    };
    this.#watch.follow(this.#keys.proxies, this.#gathered(onChange), this.#link.signal);
  }

  #followAcks(question: OpenQuestion, { id: request, signal }: Prepared): void {
    const onChange = (changed: readonly ChangedKey[]): void => {
      question.apply({ kind: 'acks', request, changes: acksAmong(this.#keys, changed), whole: false });
      this.#awake.wake();
    };
    this.#watch.follow(acksPrefix(this.#keys, request), this.#gathered(onChange), signal);
  }

  /** Hands changes on at once, or in a large fleet some together: each time takes time in proportion to the fleet. */
  #gathered(take: (changed: readonly ChangedKey[]) => void): (changed: readonly ChangedKey[]) => void {
    let waiting: ChangedKey[] = [];
    const takeAll = (): void => {
      const changed = waiting;
      waiting = [];
      take(changed);
    };
    return (changed) => {
      const isFirst = waiting.length === 0;
      waiting.push(...changed);
      if (!isFirst) return;
      const size = Math.max(...this.#questions.map(({ state }) => state.members.size));
      const gatherMs = Math.floor(size / proxiesPerGatherMs);
      if (gatherMs === 0) takeAll();
      else clock.setTimeout(takeAll, gatherMs);
    };
  }

  /** Removes the request of a question that has ended while others go on. */
  #remove({ state }: OpenQuestion): void {
    const { key } = keyRange(requestKey(this.#keys, state.id));
    this.#client
      .call((rpc) => rpc.kv.deleteRange({ key }), { totalMs: removeTimeoutMs }, this.#link.signal)
      .catch((error) => this.#deps.log.debug('a request could not be removed', { reason: reasonOf(error) }));
  }

  #tell({ now = false } = {}): void {
    if (!now && clock.now() - this.#toldAt < progressMs.least) return;
    this.#toldAt = clock.now();
    this.#told = this.#questions.map(({ state }) => state);
    this.#deps.onProgress?.(this.#questions.map((question) => question.progress));
  }
}

/** A log whose lines about the lease of a request are for debugging only: what is wrong is told as progress. */
function quiet(log: Log): Log {
  const debug: Log['debug'] = (message, fields) => log.debug(message, fields);
  return { debug, info: debug, warn: debug, error: debug, child: (fields) => quiet(log.child(fields)) };
}
