import type { KeyContext, ObservedKey, OwnedKey } from './owned-key.ts';

/** A phase, and the request that is sent in it; null in a phase without one. */
export type Step = Pick<OwnedKey, 'phase' | 'request'>;

/** Decides the next step from what is desired and what is known. */
export function nextStep(key: OwnedKey, context: KeyContext): Step {
  const { desired, observed } = key;
  if (observed === undefined) return { phase: 'reading', request: { kind: 'read' } };
  if (desired.kind === 'unset') return nextWithdrawal(key, { observed, tombstone: desired.tombstone }, context);
  const { modRevision } = observed;
  const { lease } = context;
  if (lease === null) return { phase: 'waitingForLease', request: null };
  const { value } = desired;
  if (observed.lease === lease && observed.value === value && !key.doubtful) return { phase: 'held', request: null };
  if (isForeign(key, observed, context) && !context.isTombstone(observed.value)) {
    return { phase: 'conflict', request: null };
  }
  if (modRevision !== '0' && (context.tombstoneLeases.has(observed.lease) || context.isTombstone(observed.value))) {
    // Not overwritten: who comes back has a new create revision, because the instance that was created first is the leader.
    return { phase: 'deleting', request: { kind: 'delete', modRevision } };
  }
  return { phase: 'writingValue', request: { kind: 'put', modRevision, value, lease } };
}

/** The next step of a key that has to be withdrawn. */
function nextWithdrawal(
  key: OwnedKey,
  { observed, tombstone }: { readonly observed: ObservedKey; readonly tombstone: string | undefined },
  context: KeyContext,
): Step {
  const { withdrawal } = key;
  const { modRevision, lease, value } = observed;
  const isAbsent = modRevision === '0';
  // An announcement whose lease ended is taken back too: readers cannot tell that end from a crash or a partition.
  if (isAbsent && !(owesTombstone(key) && withdrawal === 'lasting')) return { phase: 'gone', request: null };
  if (isForeign(key, observed, context)) return { phase: 'gone', request: null };
  if (tombstone === undefined || withdrawal === 'silent') {
    return { phase: 'deleting', request: { kind: 'delete', modRevision } };
  }
  if (isLasting(observed, tombstone, context)) return { phase: 'tombstoned', request: null };
  if (withdrawal === 'brief') {
    if (value === tombstone) return { phase: 'deleting', request: { kind: 'delete', modRevision } };
    const request = { kind: 'putTombstone', modRevision, value: tombstone, lease, keepsLease: true } as const;
    return { phase: 'writingTombstone', request };
  }
  const { tombstoneLease } = context;
  if (tombstoneLease === null) return { phase: 'awaitingTombstoneLease', request: null };
  const request = {
    kind: 'putTombstone',
    modRevision,
    value: tombstone,
    lease: tombstoneLease,
    keepsLease: false,
  } as const;
  return { phase: 'writingTombstone', request };
}

/** It is a tombstone, and goes with a lease that is not renewed: one of this process for tombstones, or a predecessor's. */
function isLasting({ lease, value }: ObservedKey, tombstone: string, context: KeyContext): boolean {
  if (context.tombstoneLeases.has(lease)) return value === tombstone;
  return lease !== '0' && !context.ownLeases.has(lease) && context.isTombstone(value);
}

/** Another live process holds the key. Before we have written it, another lease on it is a predecessor's. */
function isForeign({ claimed }: OwnedKey, observed: ObservedKey, context: KeyContext): boolean {
  const { lease } = observed;
  const isOurs = context.ownLeases.has(lease) || context.tombstoneLeases.has(lease);
  return observed.modRevision !== '0' && claimed && lease !== '0' && !isOurs;
}

/** It is to be withdrawn, and no tombstone has told readers that yet. */
export function owesTombstone({ desired, announced }: OwnedKey): boolean {
  return announced && desired.kind === 'unset' && desired.tombstone !== undefined;
}

/**
 * The key is gone with its lease: nothing but a tombstone tells readers that this is for good, so it waits until etcd has space
 * for one. A process that ends does not wait.
 */
export function waitsForSpace(key: OwnedKey, { closing }: KeyContext): boolean {
  return owesTombstone(key) && key.observed?.modRevision === '0' && !closing;
}
