import { type LinkedAbort, linkAbort } from '../async/abort.ts';
import { jittered } from '../async/backoff.ts';
import { clock } from '../async/clock.ts';
import { WakeableSleep } from '../async/sleep.ts';
import { type Log, reasonOf } from '../daemon/log.ts';
import type { EtcdClient } from '../etcd/client/client.ts';
import { EtcdError, isDenied, isLeaseNotFound } from '../etcd/client/errors.ts';
import { keyRange, prefixRange } from '../etcd/client/key-value.ts';
import { LeaseHolder } from '../etcd/keys/lease.ts';
import { type Listing, list, listAt } from '../etcd/watch/list.ts';
import type { KeyChange, PrefixChange } from '../etcd/watch/prefix-state.ts';
import { createReflector, type Reflector } from '../etcd/watch/reflector.ts';
import { type AskState, type MemberChange, verdictOf } from './ask-state.ts';
import { ackOfKey, acksPrefix, type FleetKeys, fleetKeys, proxyOfKey, requestKey } from './keys.ts';
import { type Look, OpenQuestion } from './open-question.ts';
import type { FleetConfig } from './options.ts';
import type { Progress } from './progress.ts';
import type { Question } from './question.ts';
import { askBackoff, lookEveryMs, progressMs, removeTimeoutMs, requestTtlSeconds } from './timing.ts';

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

/**
 * Asks all synapses of a fleet, and follows their acknowledgements until every question has its answer or the time is over.
 * The requests are removed at the end. An end as `done` is read from etcd through a quorum: proxies, acknowledgements and the
 * record of the instance at one revision. Never rejects: when `signal` aborts, the questions end as they are.
 */
export async function askFleet(
  client: EtcdClient,
  options: AskOptions,
  deps: AskDeps,
  signal: AbortSignal,
): Promise<readonly Answer[]> {
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
  readonly #reflector: Reflector;
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
    const log = quiet(deps.log);
    this.#reflector = createReflector(client, { log }, link.signal);
    this.#questions = options.questions.map((question) => new OpenQuestion(question));
    const onGranted = (): void => {
      // What was asked under an earlier lease has gone with it.
      for (const question of this.#open) question.askAgain();
      this.#awake.wake();
    };
    this.#holder = new LeaseHolder(client, { ttlSeconds: requestTtlSeconds }, { log, onGranted }, link.signal);
  }

  async run(): Promise<readonly Answer[]> {
    const { signal } = this.#link;
    const timer = clock.setTimeout(() => this.#timeIsOver(), this.#options.timeoutMs);
    this.#holder.start();
    this.#followProxies();
    while (this.#open.length > 0 && !signal.aborted) {
      await this.#step(signal);
      this.#tell();
      if (this.#open.length > 0) await this.#awake.sleep(this.#waitMs(), signal);
    }
    clock.clearTimeout(timer);
    this.#tell({ now: true });
    await this.#holder.revokeAll(removeTimeoutMs).catch((error) => {
      this.#deps.log.debug('a request could not be removed, it goes when its lease expires', {
        reason: reasonOf(error),
      });
    });
    return this.#questions.map((question) => ({ progress: question.progress, state: question.state }));
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
      const lease = this.#holder.id;
      if (lease !== null) await Promise.all(this.#open.map((question) => this.#write(question, lease, signal)));
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
    const trouble = this.#reason ?? this.#holder.reason ?? this.#reflector.status.reason;
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

  /** Puts the request of a question that is to be asked. */
  async #write(question: OpenQuestion, lease: string, signal: AbortSignal): Promise<void> {
    if (!question.isToBeAsked) return;
    const { key: at } = keyRange(question.key ?? this.#keys.requests);
    try {
      const found = await this.#client.call((rpc) => rpc.kv.range({ key: at }), {}, signal);
      const { id, key, value } = question.prepare(this.#keys, {
        by: this.#options.by,
        recordRevision: found.kvs[0]?.mod_revision ?? null,
        revision: Number(found.header.revision),
      });
      await this.#client.call((rpc) => rpc.kv.put({ key: Buffer.from(key), value, lease }), {}, signal);
      this.#followAcks(question, id);
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      // A new lease is on its way; the question is asked again under it.
      if (isLeaseNotFound(error)) this.#holder.lost(lease);
      else if (isDenied(error.details)) question.end('denied', `etcd does not allow it: ${reasonOf(error)}`);
      else throw error;
    }
  }

  /** Reads proxies, acknowledgements and records at one revision, and ends the questions that have their answers. */
  async #look(questions: readonly OpenQuestion[], signal: AbortSignal): Promise<void> {
    const beganAt = clock.now();
    const before = questions.map((question) => question.beginLook(beganAt + lookEveryMs));
    try {
      const listing = await list(this.#client, prefixRange(this.#keys.proxies), signal);
      const proxies = this.#proxiesAmong(keysIn(listing));
      const looks = await Promise.all(
        questions.map((question) => this.#lookAt(question, { proxies, revision: listing.revision }, signal)),
      );
      for (const [index, question] of questions.entries()) {
        question.endLook(before[index] as number, looks[index] as Look);
        question.lookEarly(clock.now() - beganAt);
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

  /** Reads what there is about one question at a revision. */
  async #lookAt(
    { state, key }: OpenQuestion,
    { proxies, revision }: { readonly proxies: readonly MemberChange[]; readonly revision: number },
    signal: AbortSignal,
  ): Promise<Look> {
    const { id } = state;
    const [acks, record] = await Promise.all([
      listAt(this.#client, prefixRange(acksPrefix(this.#keys, id)), revision, signal),
      key === null ? undefined : listAt(this.#client, keyRange(key), revision, signal),
    ]);
    const recordRevision = key === null ? null : (record?.entries.get(key)?.modRevision ?? null);
    return { id, proxies, acks: this.#acksAmong(keysIn(acks)), recordRevision };
  }

  #followProxies(): void {
    const onChange = ({ changed }: PrefixChange): void => {
      const changes = this.#proxiesAmong(changed);
      for (const question of this.#open) question.apply({ kind: 'proxies', changes, whole: false });
      this.#awake.wake();
    };
    void this.#reflector.follow(this.#keys.proxies, onChange, this.#link.signal);
  }

  #followAcks(question: OpenQuestion, request: string): void {
    const signal = question.asked(this.#link.signal);
    const onChange = ({ changed }: PrefixChange): void => {
      question.apply({ kind: 'acks', request, changes: this.#acksAmong(changed), whole: false });
      this.#awake.wake();
    };
    void this.#reflector.follow(acksPrefix(this.#keys, request), onChange, signal);
  }

  #proxiesAmong(changed: Iterable<ChangedKey>): readonly MemberChange[] {
    return membersAmong(changed, (key) => proxyOfKey(this.#keys, key));
  }

  #acksAmong(changed: Iterable<ChangedKey>): readonly MemberChange[] {
    return membersAmong(changed, (key) => ackOfKey(this.#keys, key)?.id);
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

/** A key that has changed, with what it holds now; without an entry it was deleted. */
type ChangedKey = Pick<KeyChange, 'key' | 'entry'>;

function keysIn({ entries }: Listing): readonly ChangedKey[] {
  return [...entries.values()].map((entry) => ({ key: entry.key, entry }));
}

/** The changes of the keys that have the id of a member. */
function membersAmong(
  changed: Iterable<ChangedKey>,
  idOf: (key: string) => string | undefined,
): readonly MemberChange[] {
  return [...changed].flatMap(({ key, entry }) => {
    const id = idOf(key);
    return id === undefined ? [] : [{ id, entry }];
  });
}

/** A log whose lines about the lease of a request are for debugging only: what is wrong is told as progress. */
function quiet(log: Log): Log {
  const debug: Log['debug'] = (message, fields) => log.debug(message, fields);
  return { debug, info: debug, warn: debug, error: debug, child: (fields) => quiet(log.child(fields)) };
}
