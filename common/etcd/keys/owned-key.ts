/** What is known of one key that this process owns, what can happen to it, and what has to be done. Data only. */

/**
 * How a key should be: with this value under our lease, or withdrawn. `tombstone` is what a withdrawn key says until the
 * lease of the tombstones ends; without one it is deleted.
 */
export type DesiredKey =
  | { readonly kind: 'set'; readonly value: string }
  | { readonly kind: 'unset'; readonly tombstone?: string | undefined };

/** What etcd had under a key when it was last read or written. `modRevision` 0: no such key; `lease` 0: no lease. */
export interface ObservedKey {
  readonly modRevision: string;
  readonly value: string;
  readonly lease: string;
}

/** A key that does not exist. */
export const absentKey: ObservedKey = { modRevision: '0', value: '', lease: '0' };

/** A revision alone does not tell: a cluster that was put back from a backup may have given it again, to something else. */
export function sameObserved(a: ObservedKey, b: ObservedKey): boolean {
  return a.modRevision === b.modRevision && a.lease === b.lease && a.value === b.value;
}

/** A key as it was at one revision of the store. */
export interface KeyVersion {
  readonly revision: number;
  readonly observed: ObservedKey;
}

/** What is under way for a key. In the last six the key rests: nothing is sent until something happens. */
export type Phase =
  /** Waits for its turn to send a request. */
  | 'queued'
  | 'reading'
  /** A lease for its tombstone has been asked for. */
  | 'awaitingTombstoneLease'
  | 'writingValue'
  | 'writingTombstone'
  | 'deleting'
  /** A request failed; waits before the next one. */
  | 'retrying'
  /** Another process changes the key between our reads and our writes; waits before the next try. */
  | 'contended'
  /** Others changed the key again, soon after it was repaired; waits before the next repair. */
  | 'disturbed'
  | 'waitingForLease'
  | 'conflict'
  | 'held'
  /** Withdrawn: it is a tombstone, which goes when its lease ends. */
  | 'tombstoned'
  | 'gone';

/**
 * How a key is withdrawn. `lasting`: its tombstone stays under a lease of its own, so that a reader that was away sees it.
 * `brief`: there is no such lease, so the tombstone keeps the lease of the key, and is deleted at once. `silent`: etcd has
 * no space for a tombstone, so the key is deleted without one.
 */
export type Withdrawal = 'lasting' | 'brief' | 'silent';

/** All that is known of one key. Replaced, never changed. */
export interface OwnedKey {
  readonly key: string;
  readonly desired: DesiredKey;
  readonly phase: Phase;
  /** The request that is under way; null in a phase without one. */
  readonly request: KeyRequest | null;
  /** Why the key is not as desired, for people; null while nothing is known to be wrong. */
  readonly reason: string | null;
  /** Undefined: the key has to be read. */
  readonly observed: ObservedKey | undefined;
  /** This process has written the key: another lease on it is a live owner's, no longer a predecessor's. */
  readonly claimed: boolean;
  /** A write went without an answer and may still happen: a key that looks right has to be written again. */
  readonly doubtful: boolean;
  /** The lease under which a create went without an answer. The key may appear late, as long as that lease lives. */
  readonly pendingCreateLease: string | null;
  /**
   * This process has announced the key, or an earlier one may have, and no tombstone, or delete of its own, has taken that
   * back.
   */
  readonly announced: boolean;
  readonly withdrawal: Withdrawal;
  /** What a predecessor left was reported, or there was nothing. */
  readonly inspected: boolean;
  /** Nothing is kept of the key once it is as desired. */
  readonly forget: boolean;
  /** Requests since the key was last at rest. */
  readonly requests: number;
  /** Failed requests since the key was last at rest. */
  readonly failures: number;
  /** The newest version that a watch showed while requests were under way. */
  readonly pendingVersion: KeyVersion | null;
  /** How often in a row others changed the key, and when the last time was, milliseconds of `clock.now()`. */
  readonly disturbances: { readonly count: number; readonly at: number };
}

/** A key of which nothing is known yet. */
export function unknownKey(key: string, desired: DesiredKey, forget: boolean): OwnedKey {
  return {
    key,
    desired,
    phase: 'queued',
    request: null,
    reason: null,
    observed: undefined,
    claimed: false,
    doubtful: false,
    pendingCreateLease: null,
    announced: false,
    withdrawal: 'lasting',
    inspected: false,
    forget,
    requests: 0,
    failures: 0,
    pendingVersion: null,
    disturbances: { count: 0, at: Number.NEGATIVE_INFINITY },
  };
}

/** How a request failed. */
export interface RequestFailure {
  /**
   * `unanswered`: the write may still happen. `rejected`: it did not happen and will not. `outOfSpace`: etcd is at its
   * quota. `leaseNotFound`: etcd does not know the lease.
   */
  readonly kind: 'unanswered' | 'rejected' | 'outOfSpace' | 'leaseNotFound';
  readonly reason: string;
}

/** What happens to a key. */
export type KeyEvent =
  /** The owner says how the key should be. */
  | { readonly kind: 'assigned'; readonly desired: DesiredKey; readonly forget: boolean }
  /** A request may be sent now. */
  | { readonly kind: 'turn' }
  /** A read was answered. */
  | { readonly kind: 'read'; readonly observed: ObservedKey }
  /** A write was carried out and left the key like this. */
  | { readonly kind: 'written'; readonly observed: ObservedKey }
  /** A write was not carried out: the key had changed, to this. */
  | { readonly kind: 'overtaken'; readonly observed: ObservedKey }
  | { readonly kind: 'failed'; readonly failure: RequestFailure }
  /** The time of a `wait` effect is over. */
  | { readonly kind: 'waited' }
  /** There is a lease for tombstones. */
  | { readonly kind: 'tombstoneLeaseGranted' }
  | { readonly kind: 'tombstoneLeaseFailed'; readonly failure: RequestFailure }
  /** There is a new lease. */
  | { readonly kind: 'leaseGranted' }
  /** The watch showed the key. */
  | { readonly kind: 'watched'; readonly version: KeyVersion }
  /** A read of all keys showed this one, which had been observed as `since` when the read was sent. */
  | { readonly kind: 'verified'; readonly observed: ObservedKey; readonly since: ObservedKey | undefined };

/** The request that a turn sends. Writes count only while the key has `modRevision`. */
export type KeyRequest =
  | { readonly kind: 'read' }
  | { readonly kind: 'put'; readonly modRevision: string; readonly value: string; readonly lease: string }
  /** With `keepsLease`, `lease` is the one that the key has, and that may not be ours. */
  | {
      readonly kind: 'putTombstone';
      readonly modRevision: string;
      readonly value: string;
      readonly lease: string;
      readonly keepsLease: boolean;
    }
  | { readonly kind: 'delete'; readonly modRevision: string };

/** What a wait is for; its length comes from `timing.ts`. */
export type Pause = 'retry' | 'contention' | 'disturbance';

/** What has to be done, in this order. */
export type KeyEffect =
  /** Ask for a turn. */
  | { readonly kind: 'queue' }
  | { readonly kind: 'send'; readonly request: KeyRequest }
  | { readonly kind: 'wait'; readonly pause: Pause; readonly round: number }
  | { readonly kind: 'stopWaiting' }
  /** Tell the owner what a predecessor left, before anything is written. */
  | { readonly kind: 'reportFound'; readonly value: string; readonly lease: string }
  /** Log and count a change by others that is about to be repaired. */
  | { readonly kind: 'reportRepair'; readonly noticedBy: 'watch' | 'read' }
  | { readonly kind: 'log'; readonly what: 'conflict' | 'retrying' | 'recovered'; readonly reason: string | null }
  /** Ask for a lease for tombstones. */
  | { readonly kind: 'grantTombstoneLease' }
  /** Tell the lease's holder that etcd does not know it. */
  | { readonly kind: 'loseLease'; readonly lease: string }
  /** Have the lease replaced: a late create under it must not count. */
  | { readonly kind: 'rotateLease' }
  /** No request is under way or planned any more. */
  | { readonly kind: 'rest' }
  /** Keep nothing of this key. */
  | { readonly kind: 'forget' };

/** What the decision depends on beside the key itself. */
export interface KeyContext {
  /** The lease that keys go under; null while there is none. */
  readonly lease: string | null;
  /** Every lease that this process ever asked for to put keys under. */
  readonly ownLeases: ReadonlySet<string>;
  /** The lease that a new tombstone goes under; null while one has to be asked for. */
  readonly tombstoneLease: string | null;
  /** The leases of tombstones of this process that may still live. */
  readonly tombstoneLeases: ReadonlySet<string>;
  /** True for the value of a tombstone, of this process or of another. */
  readonly isTombstone: (value: string) => boolean;
  /** Everything is being withdrawn for good, and all leases are about to be revoked. */
  readonly closing: boolean;
  /** Milliseconds of `clock.now()`. */
  readonly now: number;
}

/** A key after an event, and what has to be done. */
export interface Transition {
  readonly key: OwnedKey;
  readonly effects: readonly KeyEffect[];
}

const resting: ReadonlySet<Phase> = new Set(['disturbed', 'waitingForLease', 'conflict', 'held', 'tombstoned', 'gone']);

/** True when the key is as desired. */
export function isSettled({ phase }: OwnedKey): boolean {
  return phase === 'held' || phase === 'tombstoned' || phase === 'gone';
}

/** True when no request is under way or planned: changes by others count. */
export function isResting({ phase }: OwnedKey): boolean {
  return resting.has(phase);
}
