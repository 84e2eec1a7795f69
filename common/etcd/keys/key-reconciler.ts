import { onAbort } from '../../async/abort.ts';
import { jittered } from '../../async/backoff.ts';
import { clock, type Timer } from '../../async/clock.ts';
import { Semaphore } from '../../async/semaphore.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import { TroubleLog, type TroubleTexts } from '../../daemon/trouble-log.ts';
import type { EtcdClient } from '../client/client.ts';
import { beginKey, reduceKey } from './key-lifecycle.ts';
import { type KeyAnswer, sendRequest } from './key-operations.ts';
import type { LeaseHolder } from './lease.ts';
import {
  type DesiredKey,
  isSettled,
  type KeyContext,
  type KeyEffect,
  type KeyEvent,
  type KeyRequest,
  type OwnedKey,
  type Transition,
} from './owned-key.ts';
import { pauseBackoff } from './timing.ts';
import type { TombstoneLease } from './tombstone-lease.ts';

/** What the reconciler needs, and its callbacks. */
export interface KeyReconcilerDeps {
  readonly log: Log;
  readonly holder: LeaseHolder;
  readonly tombstoneLease: TombstoneLease;
  /** True for the value of a tombstone, of this process or of another. */
  readonly isTombstone: (value: string) => boolean;
  /** Called once for each key, before it is written, with what a predecessor left there, and under which lease. */
  readonly onFound: (key: string, value: string, lease: string) => void;
  /** Called when no request is under way or planned for the key any more. */
  readonly onRest: (key: OwnedKey) => void;
  /** Called when a change of the key by others is about to be repaired. */
  readonly onRepair: (key: string, noticedBy: 'watch' | 'read') => void;
}

/** How a key is assigned. */
export interface AssignOptions {
  /** Nothing is kept of the key once it is as desired. */
  readonly forget?: boolean;
  /** No process can have had the key before: it is written without being read first. */
  readonly isNew?: boolean;
}

/** Requests that are under way at the same time. */
const concurrentRequests = 16;

/** A trouble that one key has, most keys have. */
const troubles = {
  retrying: {
    begins: 'etcd keys could not be written, retrying',
    goesOn: 'etcd keys still cannot be written',
    ends: 'etcd keys are as desired again',
    counts: 'keys',
  },
  conflict: {
    begins: 'etcd keys belong to another process',
    goesOn: 'etcd keys still belong to another process',
    ends: 'no etcd key belongs to another process any more',
    counts: 'keys',
    level: 'error',
  },
} as const satisfies Record<string, TroubleTexts>;

interface Task {
  owned: OwnedKey;
  timer: Timer | undefined;
}

/** Brings keys to their desired state: carries out what `key-lifecycle.ts` decides for each. Stops when `signal` aborts. */
export class KeyReconciler {
  readonly #client: EtcdClient;
  readonly #options: { readonly verifyEveryMs: number };
  readonly #deps: KeyReconcilerDeps;
  readonly #signal: AbortSignal;
  readonly #tasks = new Map<string, Task>();
  readonly #limit = new Semaphore(concurrentRequests);
  readonly #retrying: TroubleLog;
  readonly #conflicts: TroubleLog;
  #closing = false;
  #deletedAt = Number.NEGATIVE_INFINITY;

  constructor(
    client: EtcdClient,
    options: { readonly verifyEveryMs: number },
    deps: KeyReconcilerDeps,
    signal: AbortSignal,
  ) {
    this.#client = client;
    this.#options = options;
    this.#deps = deps;
    this.#signal = signal;
    this.#retrying = new TroubleLog(troubles.retrying, deps);
    this.#conflicts = new TroubleLog(troubles.conflict, deps);
    onAbort(signal, () => {
      for (const task of this.#tasks.values()) clock.clearTimeout(task.timer);
    });
  }

  /** The keys as they are now. */
  keys(): readonly OwnedKey[] {
    return [...this.#tasks.values()].map(({ owned }) => owned);
  }

  /** One key; undefined when it was never assigned, or was forgotten. */
  get(key: string): OwnedKey | undefined {
    return this.#tasks.get(key)?.owned;
  }

  get size(): number {
    return this.#tasks.size;
  }

  /** When a key was last deleted that should have said a tombstone instead; milliseconds of `clock.now()`. */
  get deletedAt(): number {
    return this.#deletedAt;
  }

  /** True when every key is as desired. */
  get allSettled(): boolean {
    for (const { owned } of this.#tasks.values()) if (!isSettled(owned)) return false;
    return true;
  }

  /** Says how the key should be from now on. */
  assign(key: string, desired: DesiredKey, { forget = false, isNew = false }: AssignOptions = {}): void {
    if (this.#tasks.has(key)) {
      this.dispatch(key, { kind: 'assigned', desired, forget });
      return;
    }
    const { key: owned, effects } = beginKey(key, desired, { forget, isNew });
    const task: Task = { owned, timer: undefined };
    this.#tasks.set(key, task);
    this.#run(task, effects);
  }

  /** Says that there is a new lease, under which every key has to be put. */
  leaseGranted(): void {
    for (const key of [...this.#tasks.keys()]) this.dispatch(key, { kind: 'leaseGranted' });
  }

  /** Withdraws every key for good. Leases are no longer replaced: they are about to be revoked. */
  withdrawAll(tombstoneOf: (key: string, value: string) => string | undefined): void {
    this.#closing = true;
    for (const { key, desired } of this.keys()) {
      if (desired.kind === 'unset') continue;
      const tombstone = tombstoneOf(key, desired.value);
      this.assign(key, { kind: 'unset', tombstone });
    }
  }

  /** Tells a key what happened to it. A key that is not known is ignored. */
  dispatch(key: string, event: KeyEvent): void {
    const task = this.#tasks.get(key);
    if (task !== undefined) this.#apply(task, event);
  }

  #apply(task: Task, event: KeyEvent): void {
    if (this.#signal.aborted) return;
    this.#run(task, this.#reduce(task, event).effects);
  }

  #reduce(task: Task, event: KeyEvent): Transition {
    const transition = reduceKey(task.owned, event, this.#context());
    task.owned = transition.key;
    return transition;
  }

  #context(): KeyContext {
    const { id: lease, owned: ownLeases } = this.#deps.holder;
    const { tombstoneLease, isTombstone } = this.#deps;
    return {
      lease,
      ownLeases,
      tombstoneLease: tombstoneLease.id,
      tombstoneLeases: tombstoneLease.recent,
      isTombstone,
      closing: this.#closing,
      now: clock.now(),
    };
  }

  #run(task: Task, effects: readonly KeyEffect[]): void {
    for (const effect of effects) this.#runOne(task, effect);
  }

  #runOne(task: Task, effect: KeyEffect): void {
    const { owned } = task;
    const { holder, tombstoneLease, onRepair, onRest } = this.#deps;
    switch (effect.kind) {
      case 'queue':
        void this.#queue(task);
        break;
      case 'send':
        // Sent by #queue, which keeps the turn until the answer is there.
        break;
      case 'wait':
        this.#wait(task, effect);
        break;
      case 'stopWaiting':
        clock.clearTimeout(task.timer);
        break;
      case 'reportFound':
        this.#reportFound(owned.key, effect);
        break;
      case 'reportRepair':
        onRepair(owned.key, effect.noticedBy);
        break;
      case 'log':
        this.#log(owned, effect);
        break;
      case 'grantTombstoneLease':
        void tombstoneLease.grant().then((answer) => this.#apply(task, answer));
        break;
      case 'loseLease':
        holder.lost(effect.lease);
        tombstoneLease.lost(effect.lease);
        break;
      case 'rotateLease':
        holder.rotate();
        break;
      case 'forget':
        if (this.#tasks.get(owned.key) === task) this.#tasks.delete(owned.key);
        this.#isWell(owned.key);
        break;
      case 'rest':
        onRest(owned);
        break;
    }
  }

  #reportFound(key: string, { value, lease }: Extract<KeyEffect, { kind: 'reportFound' }>): void {
    const { log, onFound } = this.#deps;
    try {
      onFound(key, value, lease);
    } catch (error) {
      // A fault of the owner's must not keep its key from being written.
      log.error('handling what was found under an etcd key failed', { key, reason: reasonOf(error) });
    }
  }

  /** Waits for a turn and sends the request that the key needs by then. */
  async #queue(task: Task): Promise<void> {
    const answer = await this.#limit.run(async () => {
      if (this.#signal.aborted) return undefined;
      const { effects } = this.#reduce(task, { kind: 'turn' });
      const request = effects.find((effect) => effect.kind === 'send');
      this.#run(task, effects);
      return request && this.#send(task, request.request);
    });
    if (answer !== undefined) this.#apply(task, answer);
  }

  async #send({ owned }: Task, request: KeyRequest): Promise<KeyAnswer> {
    const { key, desired } = owned;
    const answer = await sendRequest(this.#client, key, request, this.#signal);
    const isWithdrawal = desired.kind === 'unset' && desired.tombstone !== undefined;
    if (request.kind === 'delete' && answer.kind === 'written' && isWithdrawal) this.#deletedAt = clock.now();
    return answer;
  }

  #wait(task: Task, { pause, round }: Extract<KeyEffect, { kind: 'wait' }>): void {
    const delayMs = jittered(pauseBackoff(pause, this.#options.verifyEveryMs), round);
    task.timer = clock.setTimeout(() => this.#apply(task, { kind: 'waited' }), delayMs);
  }

  #log({ key }: OwnedKey, { what, reason }: Extract<KeyEffect, { kind: 'log' }>): void {
    if (what === 'recovered') this.#isWell(key);
    else (what === 'conflict' ? this.#conflicts : this.#retrying).add(key, { reason });
  }

  #isWell(key: string): void {
    this.#retrying.remove(key);
    this.#conflicts.remove(key);
  }
}
