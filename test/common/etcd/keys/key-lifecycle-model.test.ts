import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { beginKey, reduceKey } from '../../../../common/etcd/keys/key-lifecycle.ts';
import {
  absentKey,
  type DesiredKey,
  isResting,
  isSettled,
  type KeyContext,
  type KeyEffect,
  type KeyEvent,
  type KeyRequest,
  type ObservedKey,
  type OwnedKey,
} from '../../../../common/etcd/keys/owned-key.ts';
import { seededRandom } from '../../../support/random.ts';

/** How many runs, each with other random events; `MODEL_SEED` repeats one. */
const runs = 2_000;
const firstSeed = Number(process.env.MODEL_SEED ?? 1);

type Write = Exclude<KeyRequest, { kind: 'read' }>;

function keepsLease(write: Write): boolean {
  return write.kind === 'putTombstone' && write.keepsLease;
}

/** One key in a simulated etcd, as its owner and others change it. Writes without an answer may be carried out later. */
class Model {
  readonly #random: () => number;
  #stored: ObservedKey = absentKey;
  #revision = 1;
  readonly #leases = new Set<string>(['7']);
  readonly #ownLeases = new Set<string>(['7']);
  readonly #replaced = new Set<string>();
  #lease: string | null = '7';
  readonly #tombstoneLeases = new Set<string>();
  #tombstoneLease: string | null = null;
  #awaitsTombstoneLease = false;
  #key: OwnedKey;
  #request: KeyRequest | null = null;
  #queued = false;
  #waiting = false;
  /** Writes of which the owner has no answer and which etcd may still carry out. */
  #late: Write[] = [];
  #now = 0;
  readonly history: string[] = [];

  constructor(random: () => number) {
    this.#random = random;
    const { key, effects } = beginKey('/k', { kind: 'set', value: 'first' });
    this.#key = key;
    this.#run(effects);
  }

  /** Something happens: an answer, a failure, a new desire, a change by others, a lost lease. */
  step(): void {
    this.#now += this.#random() * 2_000;
    const roll = this.#random();
    if (roll < 0.1) this.#dispatch({ kind: 'assigned', desired: this.#anyDesire(), forget: false });
    else if (roll < 0.13) this.#changeByOthers();
    else if (roll < 0.15) this.#loseLease();
    else if (roll < 0.17) this.#endTombstones();
    else if (roll < 0.25) this.#carryOutLate();
    else if (roll < 0.3) this.#verify();
    else this.#proceed(this.#random());
  }

  /** Nothing fails any more, and others leave the key alone, until the owner has nothing left to do. */
  settle(): void {
    for (let steps = 0; steps < 200; steps += 1) {
      if (this.#lease !== null && !this.#leases.has(this.#lease)) this.#renewLease();
      if (this.#queued || this.#waiting || this.#isUnderWay || this.#lease === null) this.#proceed(1);
      else if (this.#stored.lease === '9') this.#store(absentKey);
      else if (!this.#isAsObserved()) this.#verify();
      else if (isSettled(this.#key)) return;
      else this.#verify();
    }
    assert.fail(`does not settle: ${this.#key.phase}`);
  }

  /** The key is as desired, its tombstone ends with its lease, and no write that comes late changes it. */
  check(): void {
    const { desired } = this.#key;
    if (this.#key.phase === 'tombstoned') {
      assert.ok(this.#stored.value === 'down' && this.#tombstoneLeases.has(this.#stored.lease));
    }
    this.#endTombstones();
    const assertDesired = (): void => {
      if (desired.kind === 'unset') assert.deepEqual(this.#stored, absentKey);
      else assert.deepEqual([this.#stored.value, this.#stored.lease], [desired.value, this.#lease]);
    };
    assertDesired();
    while (this.#late.length > 0) this.#carryOutLate();
    assertDesired();
  }

  get #isUnderWay(): boolean {
    return this.#request !== null || this.#awaitsTombstoneLease;
  }

  #anyDesire(): DesiredKey {
    const roll = this.#random();
    if (roll < 0.5) return { kind: 'set', value: `value ${Math.floor(this.#random() * 3)}` };
    return roll < 0.75 ? { kind: 'unset', tombstone: 'down' } : { kind: 'unset' };
  }

  #changeByOthers(): void {
    if (this.#random() < 0.5) this.#store(absentKey);
    else this.#store({ modRevision: '0', value: 'other', lease: this.#random() < 0.5 ? '0' : '9' });
  }

  #loseLease(): void {
    if (this.#lease !== null) this.#revoke(this.#lease);
  }

  /** The lease of the tombstones ends, with them; the owner does not notice, or asks for another because it is old. */
  #endTombstones(): void {
    for (const lease of this.#tombstoneLeases) if (this.#leases.has(lease)) this.#revoke(lease);
    if (this.#random() < 0.5) this.#tombstoneLease = null;
  }

  #renewLease(): void {
    if (this.#lease === null) return;
    this.history.push(`lease ${this.#lease} is known to be lost`);
    this.#lease = null;
  }

  #revoke(lease: string): void {
    this.history.push(`lease ${lease} ends`);
    this.#leases.delete(lease);
    if (this.#stored.lease === lease) this.#store(absentKey);
  }

  /** The owner's next step: `luck` near 1 has requests answered. */
  #proceed(luck: number): void {
    if (this.#lease === null) {
      this.#lease = String(100 + this.#ownLeases.size);
      this.#leases.add(this.#lease);
      this.#ownLeases.add(this.#lease);
      this.#dispatch({ kind: 'leaseGranted' });
    } else if (this.#queued) {
      this.#queued = false;
      this.#dispatch({ kind: 'turn' });
    } else if (this.#request !== null) this.#answer(this.#request, luck);
    else if (this.#awaitsTombstoneLease) this.#answerTombstoneLease(luck);
    else if (this.#waiting) {
      this.#waiting = false;
      this.#dispatch({ kind: 'waited' });
    }
  }

  #answerTombstoneLease(luck: number): void {
    this.#awaitsTombstoneLease = false;
    if (luck < 0.4) {
      const kind = luck < 0.2 ? 'unanswered' : 'outOfSpace';
      this.#dispatch({ kind: 'tombstoneLeaseFailed', failure: { kind, reason: kind } });
      return;
    }
    this.#tombstoneLease = String(1_000 + this.#tombstoneLeases.size);
    this.#tombstoneLeases.add(this.#tombstoneLease);
    this.#leases.add(this.#tombstoneLease);
    this.#dispatch({ kind: 'tombstoneLeaseGranted' });
  }

  #answer(request: KeyRequest, luck: number): void {
    this.#request = null;
    if (luck < 0.45) {
      if (request.kind !== 'read' && luck < 0.4) this.#late.push(request);
      this.#dispatch({ kind: 'failed', failure: { kind: 'unanswered', reason: 'no answer' } });
    } else if (luck < 0.5) {
      this.#dispatch({ kind: 'failed', failure: { kind: 'rejected', reason: 'refused' } });
    } else if (request.kind === 'read') this.#dispatch({ kind: 'read', observed: this.#stored });
    else this.#dispatch(this.#carryOut(request));
  }

  #carryOut(write: Write): KeyEvent {
    if (write.kind !== 'delete' && !keepsLease(write) && !this.#leases.has(write.lease)) {
      return { kind: 'failed', failure: { kind: 'leaseNotFound', reason: 'lease not found' } };
    }
    if (write.modRevision !== this.#stored.modRevision) return { kind: 'overtaken', observed: this.#stored };
    if (write.kind === 'delete') this.#store(absentKey);
    else {
      const lease = keepsLease(write) ? this.#stored.lease : write.lease;
      this.#store({ modRevision: '0', value: write.value, lease });
    }
    return { kind: 'written', observed: this.#stored };
  }

  #carryOutLate(): void {
    const [write] = this.#late.splice(Math.floor(this.#random() * this.#late.length), 1);
    if (write === undefined) return;
    this.history.push(`late: ${JSON.stringify(write)}`);
    this.#carryOut(write);
  }

  #store(observed: ObservedKey): void {
    this.#revision += 1;
    this.#stored = observed === absentKey ? absentKey : { ...observed, modRevision: String(this.#revision) };
    this.history.push(`etcd: ${JSON.stringify(this.#stored)}`);
    // The watch sometimes misses a change.
    if (this.#random() < 0.7) {
      this.#dispatch({ kind: 'watched', version: { revision: this.#revision, observed: this.#stored } });
    }
  }

  #isAsObserved(): boolean {
    return this.#key.observed?.modRevision === this.#stored.modRevision;
  }

  #verify(): void {
    if (!isResting(this.#key)) return;
    this.#dispatch({ kind: 'verified', observed: this.#stored, since: this.#key.observed });
  }

  #dispatch(event: KeyEvent): void {
    const context: KeyContext = {
      lease: this.#lease,
      ownLeases: this.#ownLeases,
      tombstoneLease: this.#tombstoneLease,
      tombstoneLeases: this.#tombstoneLeases,
      isTombstone: (value) => value === 'down',
      closing: false,
      now: this.#now,
    };
    const { key, effects } = reduceKey(this.#key, event, context);
    this.history.push(`${event.kind}: ${this.#key.phase} → ${key.phase}`);
    this.#key = key;
    this.#run(effects);
  }

  #run(effects: readonly KeyEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'queue') this.#queued = true;
      else if (effect.kind === 'send') this.#request = effect.request;
      else if (effect.kind === 'wait') this.#waiting = true;
      else if (effect.kind === 'stopWaiting') this.#waiting = false;
      else if (effect.kind === 'grantTombstoneLease') this.#awaitsTombstoneLease = true;
      else if (effect.kind === 'loseLease') {
        if (this.#lease === effect.lease) this.#lease = null;
        if (this.#tombstoneLease === effect.lease) this.#tombstoneLease = null;
      } else if (effect.kind === 'rotateLease') {
        if (this.#lease !== null) this.#replaced.add(this.#lease);
        this.#lease = null;
      } else if (effect.kind === 'rest') this.#revokeReplaced();
    }
  }

  #revokeReplaced(): void {
    if (!isSettled(this.#key)) return;
    for (const lease of [...this.#replaced]) {
      if (this.#key.observed?.lease === lease) continue;
      this.#replaced.delete(lease);
      this.#revoke(lease);
    }
  }
}

describe('an owned key under random events', () => {
  it(`ends as desired, and no late write undoes it (${runs} runs)`, () => {
    for (let seed = firstSeed; seed < firstSeed + runs; seed += 1) {
      const model = new Model(seededRandom(seed));
      try {
        for (let steps = 0; steps < 60; steps += 1) model.step();
        model.settle();
        model.check();
      } catch (error) {
        throw new Error(`MODEL_SEED=${seed}\n${model.history.join('\n')}`, { cause: error });
      }
    }
  });
});
