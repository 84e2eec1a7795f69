import { hex } from '../client/key-value.ts';
import { nextStep, owesTombstone, waitsForSpace } from './next-step.ts';
import {
  absentKey,
  type DesiredKey,
  isResting,
  isSettled,
  type KeyContext,
  type KeyEffect,
  type KeyEvent,
  type KeyVersion,
  type ObservedKey,
  type OwnedKey,
  type Phase,
  type RequestFailure,
  sameObserved,
  type Transition,
  unknownKey,
} from './owned-key.ts';
import { calmMs } from './timing.ts';

/*
 * The life of one owned key in etcd, as a pure reducer. It decides; `key-reconciler.ts` carries the effects out.
 *
 *   queued → reading | writingValue | writingTombstone | deleting     one request per turn
 *            then queued again, for the next request;
 *            awaitingTombstoneLease before a tombstone, when there is no lease for it;
 *            retrying after a failure, contended when others change the key between our reads and our writes
 *   at rest: held (set, under our lease), tombstoned (unset, a tombstone until its lease ends), gone (unset, and absent),
 *            conflict (another live process holds it), waitingForLease, disturbed (changed by others again and again)
 *
 * Every write counts only while the key has the modification revision that was last observed: what a hung member carries
 * out late changes nothing once the key has moved on.
 */

/** A pause is made after this many requests that did not end the work. */
const requestsBetweenPauses = 10;

/** A key of which nothing is known yet. One that `isNew` is taken to be absent: its first write finds out whether it is. */
export function beginKey(
  key: string,
  desired: DesiredKey,
  { forget = false, isNew = false }: { readonly forget?: boolean; readonly isNew?: boolean } = {},
): Transition {
  const unknown = unknownKey(key, desired, forget);
  return { key: isNew ? { ...unknown, observed: absentKey } : unknown, effects: [{ kind: 'queue' }] };
}

/** Moves a key on. An event that its phase does not wait for changes nothing. */
export function reduceKey(key: OwnedKey, event: KeyEvent, context: KeyContext): Transition {
  switch (event.kind) {
    case 'assigned':
      return assigned(key, event, context);
    case 'turn':
      return key.phase === 'queued' ? takeTurn(key, context) : unchanged(key);
    case 'read':
      return key.phase === 'reading' ? learned(key, event.observed, context) : unchanged(key);
    case 'written':
      return isWriting(key) ? proceed(afterWrite(key, event.observed, context), context) : unchanged(key);
    case 'overtaken':
      return isWriting(key) ? proceed(observe(key, event.observed, context), context) : unchanged(key);
    case 'failed':
      return key.phase === 'reading' || isWriting(key) ? failed(key, event.failure, context) : unchanged(key);
    case 'waited':
      return waited(key, context);
    case 'leaseGranted':
      return key.phase === 'gone' || key.phase === 'tombstoned' ? unchanged(key) : nudge(key, context);
    case 'tombstoneLeaseGranted':
      return key.phase === 'awaitingTombstoneLease' ? proceed(key, context) : unchanged(key);
    case 'tombstoneLeaseFailed':
      return key.phase === 'awaitingTombstoneLease' ? withoutLease(key, event.failure, context) : unchanged(key);
    case 'watched':
      return watched(key, event.version, context);
    case 'verified':
      return verified(key, event, context);
  }
}

function unchanged(key: OwnedKey): Transition {
  return { key, effects: [] };
}

function isWriting({ phase }: OwnedKey): boolean {
  return phase === 'writingValue' || phase === 'writingTombstone' || phase === 'deleting';
}

/**
 * Takes in what the key is now. Only a tombstone takes back what this process announced. The absence of the key does not,
 * because its lease may have ended, and another program's record does not: readers may have held the instance since.
 */
function observe(key: OwnedKey, observed: ObservedKey, context: KeyContext): OwnedKey {
  const { value, lease } = observed;
  const isWithdrawn = context.tombstoneLeases.has(lease) || context.isTombstone(value);
  const announced = !isWithdrawn && (key.announced || context.ownLeases.has(lease));
  const next = { ...key, observed, announced };
  // A lesser withdrawal was for a key that was there: nothing but a tombstone tells readers of one whose lease has ended.
  return waitsForSpace(next, context) ? { ...next, withdrawal: 'lasting' } : next;
}

/** A write was carried out. A delete of ours is seen while the lease lives, and takes the announcement back. */
function afterWrite(key: OwnedKey, observed: ObservedKey, context: KeyContext): OwnedKey {
  const next = { ...observe(key, observed, context), claimed: true, doubtful: false };
  return key.phase === 'deleting' ? { ...next, announced: false } : next;
}

function assigned(
  key: OwnedKey,
  { desired, forget }: Extract<KeyEvent, { kind: 'assigned' }>,
  context: KeyContext,
): Transition {
  if (!sameDesired(key.desired, desired)) {
    return nudge({ ...key, desired, forget, withdrawal: 'lasting' }, context);
  }
  return { key: { ...key, forget }, effects: forget && isSettled(key) ? [{ kind: 'forget' }] : [] };
}

function sameDesired(a: DesiredKey, b: DesiredKey): boolean {
  if (a.kind === 'set') return b.kind === 'set' && a.value === b.value;
  return b.kind === 'unset' && a.tombstone === b.tombstone;
}

/** Starts work on the key now, unless work is under way. */
function nudge(key: OwnedKey, context: KeyContext): Transition {
  if (key.phase === 'retrying')
    return { key: { ...key, phase: 'queued' }, effects: [{ kind: 'stopWaiting' }, { kind: 'queue' }] };
  if (key.phase === 'awaitingTombstoneLease') return proceed(key, context);
  if (!isResting(key)) return unchanged(key);
  const { key: next, effects } = proceed({ ...key, requests: 0, failures: 0 }, context);
  return { key: next, effects: key.phase === 'disturbed' ? [{ kind: 'stopWaiting' }, ...effects] : effects };
}

function waited(key: OwnedKey, context: KeyContext): Transition {
  if (key.phase === 'retrying' || key.phase === 'contended') return queued(key);
  return key.phase === 'disturbed' ? proceed({ ...key, requests: 0, failures: 0 }, context) : unchanged(key);
}

function queued(key: OwnedKey): Transition {
  return { key: { ...key, phase: 'queued', request: null }, effects: [{ kind: 'queue' }] };
}

/** Sends the next request; there may be none any more, because the lease or the desire has changed in the queue. */
function takeTurn(key: OwnedKey, context: KeyContext): Transition {
  const { phase, request } = nextStep(key, context);
  if (request === null) return withoutRequest(key, phase, context);
  return { key: { ...key, phase, request, requests: key.requests + 1 }, effects: [{ kind: 'send', request }] };
}

/** Asks for another turn, or comes to rest when there is nothing to send. */
function proceed(key: OwnedKey, context: KeyContext): Transition {
  const { phase, request } = nextStep(key, context);
  if (request === null) return withoutRequest(key, phase, context);
  if (key.requests === 0 || key.requests % requestsBetweenPauses !== 0) return queued(key);
  const round = key.requests / requestsBetweenPauses;
  return {
    key: { ...key, phase: 'contended', request: null },
    effects: [{ kind: 'wait', pause: 'contention', round }],
  };
}

/** Waits for a lease for the tombstone, or comes to rest. */
function withoutRequest(key: OwnedKey, phase: Phase, context: KeyContext): Transition {
  if (phase !== 'awaitingTombstoneLease') return rest(key, phase, context);
  return { key: { ...key, phase, request: null }, effects: [{ kind: 'grantTombstoneLease' }] };
}

/** A read was answered: the first time, a predecessor's value is reported. */
function learned(key: OwnedKey, observed: ObservedKey, context: KeyContext): Transition {
  const isFirst = !key.inspected && !key.claimed;
  const isFound = isFirst && observed.modRevision !== '0';
  const seen = observe(key, observed, context);
  // An earlier process may have announced it and lost its lease: readers may hold the instance since.
  const announced = seen.announced || (isFirst && !isFound && !context.closing);
  const { key: next, effects } = proceed({ ...seen, announced, inspected: true }, context);
  const { value, lease } = observed;
  return { key: next, effects: isFound ? [{ kind: 'reportFound', value, lease }, ...effects] : effects };
}

function failed(before: OwnedKey, failure: RequestFailure, context: KeyContext): Transition {
  const { kind, reason } = failure;
  const { request } = before;
  const key = afterFailure(before, failure);
  if (kind === 'leaseNotFound' && request?.kind === 'put' && request.lease === context.lease) {
    // The lease's holder asks for another one; then every key is worked on again.
    const { key: next, effects } = proceed(key, { ...context, lease: null });
    return { key: next, effects: [{ kind: 'loseLease', lease: request.lease }, ...effects] };
  }
  if (kind === 'leaseNotFound' && request?.kind === 'putTombstone' && request.lease === context.tombstoneLease) {
    const { key: next, effects } = proceed(key, { ...context, tombstoneLease: null });
    return { key: next, effects: [{ kind: 'loseLease', lease: request.lease }, ...effects] };
  }
  if (kind === 'outOfSpace' && request?.kind === 'putTombstone' && !waitsForSpace(before, context)) {
    return queued({ ...key, withdrawal: 'silent' });
  }
  return retry(key, reason);
}

/** There is no lease for tombstones. Where etcd refuses one, the tombstone does without. */
function withoutLease(key: OwnedKey, { kind, reason }: RequestFailure, context: KeyContext): Transition {
  const mustWait = kind === 'unanswered' || (kind === 'outOfSpace' && waitsForSpace(key, context));
  return mustWait ? retry(key, reason) : proceed({ ...key, withdrawal: 'brief' }, context);
}

function retry(key: OwnedKey, reason: string): Transition {
  return {
    key: {
      ...key,
      phase: 'retrying',
      request: null,
      reason,
      failures: key.failures + 1,
      withdrawal: 'lasting',
    },
    effects: [
      ...(key.reason === null ? [{ kind: 'log', what: 'retrying', reason } as const] : []),
      { kind: 'wait', pause: 'retry', round: key.failures },
    ],
  };
}

/** A write without an answer may still happen: the key has to be read, and what it then shows may be overwritten. */
function afterFailure(key: OwnedKey, { kind }: RequestFailure): OwnedKey {
  const { request } = key;
  if (request === null || request.kind === 'read' || kind === 'rejected' || kind === 'leaseNotFound') return key;
  const created = request.kind === 'put' && request.modRevision === '0';
  return {
    ...key,
    observed: undefined,
    doubtful: true,
    pendingCreateLease: created ? request.lease : key.pendingCreateLease,
  };
}

/** Comes to rest. A version that the watch showed in the meantime is applied now. */
function rest(before: OwnedKey, phase: Phase, context: KeyContext): Transition {
  const { pendingVersion } = before;
  const { key, effects } = enterRest({ ...before, phase, request: null, pendingVersion: null }, context);
  if (pendingVersion === null) return { key, effects };
  const after = watched(key, pendingVersion, context);
  return { key: after.key, effects: [...effects, ...after.effects] };
}

function enterRest(key: OwnedKey, context: KeyContext): Transition {
  const { phase, observed } = key;
  const end: KeyEffect = { kind: 'rest' };
  if (phase === 'waitingForLease') {
    return { key: { ...key, reason: key.reason ?? 'waiting for a lease' }, effects: [end] };
  }
  if (phase === 'conflict') {
    // Looked at again when the key changes, not before: two processes must not fight over a key.
    const reason = `key ${key.key}: held by another process under lease ${hex(observed?.lease ?? '0')}`;
    const isNew = key.reason !== reason;
    return { key: { ...key, reason }, effects: isNew ? [{ kind: 'log', what: 'conflict', reason }, end] : [end] };
  }
  const effects: KeyEffect[] = key.reason === null ? [] : [{ kind: 'log', what: 'recovered', reason: null }];
  if (phase === 'held') return { key: { ...key, reason: null }, effects: [...effects, end] };
  const { pendingCreateLease } = key;
  if (pendingCreateLease !== null && pendingCreateLease === context.lease && !context.closing) {
    effects.push({ kind: 'rotateLease' });
  }
  if (key.forget) effects.push({ kind: 'forget' });
  return {
    key: { ...key, reason: null, pendingCreateLease: null, withdrawal: 'lasting' },
    effects: [...effects, end],
  };
}

/** The watch showed a version: older than what is known, or our own write, when its revision is not higher. */
function watched(key: OwnedKey, version: KeyVersion, context: KeyContext): Transition {
  if (!isResting(key)) return { key: { ...key, pendingVersion: version }, effects: [] };
  if (version.revision <= Number(key.observed?.modRevision ?? 0)) return unchanged(key);
  // A withdrawn key stays as it is, unless a record of others that kept this process from taking its own back is gone.
  const isFreed = version.observed.modRevision === '0' && owesTombstone(key);
  if (key.desired.kind === 'unset' && !isFreed) return unchanged(key);
  return disturb(observe(key, version.observed, context), 'watch', context);
}

/** A read of all keys showed this one. It says nothing when the key was written, or seen, after the read was sent. */
function verified(
  key: OwnedKey,
  { observed, since }: Extract<KeyEvent, { kind: 'verified' }>,
  context: KeyContext,
): Transition {
  if (!isResting(key) || key.observed !== since) return unchanged(key);
  if (isSettled(key) && since !== undefined && sameObserved(observed, since)) return unchanged(key);
  if (key.phase === 'tombstoned' && observed.modRevision === '0') {
    // Its lease has ended, as intended.
    return rest({ ...key, observed }, 'gone', context);
  }
  return disturb(observe(key, observed, context), 'read', context);
}

/** Others changed the key: has it repaired, at once the first time, later when it happens again and again. */
function disturb(key: OwnedKey, noticedBy: 'watch' | 'read', context: KeyContext): Transition {
  if (key.phase === 'disturbed') return unchanged(key);
  if (!isSettled(key)) return nudge(key, context);
  const report: KeyEffect = { kind: 'reportRepair', noticedBy };
  const count = context.now - key.disturbances.at < calmMs ? key.disturbances.count + 1 : 0;
  const disturbed: OwnedKey = { ...key, disturbances: { count, at: context.now } };
  if (count > 0) {
    return {
      key: { ...disturbed, phase: 'disturbed' },
      effects: [report, { kind: 'wait', pause: 'disturbance', round: count }],
    };
  }
  const { key: next, effects } = nudge(disturbed, context);
  return { key: next, effects: [report, ...effects] };
}
