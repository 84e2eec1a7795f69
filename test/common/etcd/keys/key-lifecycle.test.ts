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
  type Phase,
  type RequestFailure,
  type Transition,
} from '../../../../common/etcd/keys/owned-key.ts';

/** Lease 7 is ours, 6 was ours before, 20 and 21 are for our tombstones; 9 is another process's. */
const context: KeyContext = {
  lease: '7',
  ownLeases: new Set(['6', '7']),
  tombstoneLease: '20',
  tombstoneLeases: new Set(['20', '21']),
  isTombstone: (value) => value.includes('down'),
  closing: false,
  now: 100_000,
};
const noLease: KeyContext = { ...context, lease: null };
const noTombstoneLease: Partial<KeyContext> = { tombstoneLease: null };

const set = (value: string): DesiredKey => ({ kind: 'set', value });
const unset = (tombstone?: string): DesiredKey => ({ kind: 'unset', tombstone });
const present = (modRevision: string, value: string, lease: string): ObservedKey => ({ modRevision, value, lease });
const ours = present('5', 'up', '7');
const tombstone = present('6', 'down', '20');
const theirs = present('8', 'other', '9');

const fresh = beginKey('/k', set('up')).key;
const at = (phase: Phase, facts: Partial<OwnedKey> = {}): OwnedKey => ({ ...fresh, phase, requests: 1, ...facts });
const put: KeyRequest = { kind: 'put', modRevision: '5', value: 'up', lease: '7' };

/** One key in each phase. */
const phases: Readonly<Record<Phase, OwnedKey>> = {
  queued: at('queued', { requests: 0 }),
  reading: at('reading', { request: { kind: 'read' } }),
  awaitingTombstoneLease: at('awaitingTombstoneLease', {
    desired: unset('down'),
    observed: ours,
    announced: true,
    claimed: true,
    inspected: true,
  }),
  writingValue: at('writingValue', {
    request: { kind: 'put', modRevision: '0', value: 'up', lease: '7' },
    observed: absentKey,
    inspected: true,
  }),
  writingTombstone: at('writingTombstone', {
    desired: unset('down'),
    request: { kind: 'putTombstone', modRevision: '5', value: 'down', lease: '20', keepsLease: false },
    observed: ours,
    announced: true,
    claimed: true,
    inspected: true,
  }),
  deleting: at('deleting', {
    desired: unset(),
    request: { kind: 'delete', modRevision: '5' },
    observed: ours,
    claimed: true,
    inspected: true,
  }),
  retrying: at('retrying', { reason: 'refused', failures: 1 }),
  contended: at('contended', { observed: theirs, requests: 10, inspected: true }),
  disturbed: at('disturbed', { observed: absentKey, announced: true, claimed: true, inspected: true }),
  waitingForLease: at('waitingForLease', { observed: absentKey, inspected: true, reason: 'waiting for a lease' }),
  conflict: at('conflict', { observed: theirs, claimed: true, inspected: true, reason: 'held by another process' }),
  held: at('held', { observed: ours, announced: true, claimed: true, inspected: true }),
  tombstoned: at('tombstoned', { desired: unset('down'), observed: tombstone, claimed: true, inspected: true }),
  gone: at('gone', { desired: unset(), observed: absentKey, claimed: true, inspected: true }),
};

const failure = (kind: RequestFailure['kind']): KeyEvent => ({ kind: 'failed', failure: { kind, reason: kind } });

/** One event of each kind, some in several forms; they depend on the key only where an event has to. */
const events = {
  'assign the same': (key: OwnedKey) => ({ kind: 'assigned', desired: key.desired, forget: false }),
  'assign another value': () => ({ kind: 'assigned', desired: set('drain'), forget: false }),
  'assign unset': () => ({ kind: 'assigned', desired: unset('down'), forget: false }),
  'assign the same to forget': (key: OwnedKey) => ({ kind: 'assigned', desired: key.desired, forget: true }),
  turn: () => ({ kind: 'turn' }),
  'read: absent': () => ({ kind: 'read', observed: absentKey }),
  "read: a predecessor's": () => ({ kind: 'read', observed: theirs }),
  'written: tombstone': () => ({ kind: 'written', observed: tombstone }),
  'written: ours': () => ({ kind: 'written', observed: ours }),
  'written: deleted': () => ({ kind: 'written', observed: absentKey }),
  "overtaken: another's": () => ({ kind: 'overtaken', observed: theirs }),
  'failed: unanswered': () => failure('unanswered'),
  'failed: rejected': () => failure('rejected'),
  'failed: out of space': () => failure('outOfSpace'),
  'failed: lease not found': () => failure('leaseNotFound'),
  waited: () => ({ kind: 'waited' }),
  'tombstone lease granted': () => ({ kind: 'tombstoneLeaseGranted' }),
  'tombstone lease: no answer': () => ({
    kind: 'tombstoneLeaseFailed',
    failure: { kind: 'unanswered', reason: 'no answer' },
  }),
  'tombstone lease: out of space': () => ({
    kind: 'tombstoneLeaseFailed',
    failure: { kind: 'outOfSpace', reason: 'out of space' },
  }),
  'lease granted': () => ({ kind: 'leaseGranted' }),
  'watched: older': () => ({ kind: 'watched', version: { revision: 0, observed: absentKey } }),
  'watched: deleted': () => ({ kind: 'watched', version: { revision: 20, observed: absentKey } }),
  "watched: another's": () => ({ kind: 'watched', version: { revision: 20, observed: present('20', 'x', '9') } }),
  'verified: deleted': (key: OwnedKey) => ({ kind: 'verified', observed: absentKey, since: key.observed }),
  'verified: the same': (key: OwnedKey) => ({
    kind: 'verified',
    observed: key.observed ?? absentKey,
    since: key.observed,
  }),
  "verified: another's": (key: OwnedKey) => ({
    kind: 'verified',
    observed: present('20', 'x', '9'),
    since: key.observed,
  }),
  'verified: read before a write': () => ({ kind: 'verified', observed: absentKey, since: present('1', 'old', '7') }),
} as const satisfies Record<string, (key: OwnedKey) => KeyEvent>;
type EventName = keyof typeof events;

/** An effect as words. */
function words(effect: KeyEffect): string {
  switch (effect.kind) {
    case 'send':
      return `send ${requestWords(effect.request)}`;
    case 'wait':
      return `wait for ${effect.pause} ${effect.round}`;
    case 'reportFound':
      return `report found ${effect.value}`;
    case 'reportRepair':
      return `report repair by ${effect.noticedBy}`;
    case 'log':
      return `log ${effect.what}`;
    case 'loseLease':
      return `lose lease ${effect.lease}`;
    default:
      return effect.kind;
  }
}

function requestWords(request: KeyRequest): string {
  if (request.kind === 'read') return 'read';
  if (request.kind === 'delete') return `delete@${request.modRevision}`;
  const kept = request.kind === 'putTombstone' && request.keepsLease ? 'kept ' : '';
  return `${request.kind} ${request.value}@${request.modRevision} ${kept}lease ${request.lease}`;
}

const summary = ({ key, effects }: Transition): string => [key.phase, ...effects.map(words)].join(', ');

/** What each event does in each phase: the new phase, then the effects. What is not listed keeps the phase and does nothing. */
const table: Readonly<Record<Phase, Partial<Record<EventName, string>>>> = {
  queued: { turn: 'reading, send read' },
  awaitingTombstoneLease: {
    'assign another value': 'queued, queue',
    'tombstone lease granted': 'queued, queue',
    'tombstone lease: no answer': 'retrying, log retrying, wait for retry 0',
    'tombstone lease: out of space': 'queued, queue',
    'lease granted': 'queued, queue',
  },
  reading: {
    'read: absent': 'queued, queue',
    "read: a predecessor's": 'queued, report found other, queue',
    'failed: unanswered': 'retrying, log retrying, wait for retry 0',
    'failed: rejected': 'retrying, log retrying, wait for retry 0',
    'failed: out of space': 'retrying, log retrying, wait for retry 0',
    'failed: lease not found': 'retrying, log retrying, wait for retry 0',
  },
  writingValue: {
    'written: tombstone': 'queued, queue',
    'written: ours': 'held, rest',
    'written: deleted': 'queued, queue',
    "overtaken: another's": 'queued, queue',
    'failed: unanswered': 'retrying, log retrying, wait for retry 0',
    'failed: rejected': 'retrying, log retrying, wait for retry 0',
    'failed: out of space': 'retrying, log retrying, wait for retry 0',
    'failed: lease not found': 'waitingForLease, lose lease 7, rest',
  },
  writingTombstone: {
    'written: tombstone': 'tombstoned, rest',
    'written: ours': 'queued, queue',
    'written: deleted': 'queued, queue',
    "overtaken: another's": 'gone, rest',
    'failed: unanswered': 'retrying, log retrying, wait for retry 0',
    'failed: rejected': 'retrying, log retrying, wait for retry 0',
    'failed: out of space': 'queued, queue',
    'failed: lease not found': 'awaitingTombstoneLease, lose lease 20, grantTombstoneLease',
  },
  deleting: {
    'written: tombstone': 'queued, queue',
    'written: ours': 'queued, queue',
    'written: deleted': 'gone, rest',
    "overtaken: another's": 'gone, rest',
    'failed: unanswered': 'retrying, log retrying, wait for retry 0',
    'failed: rejected': 'retrying, log retrying, wait for retry 0',
    'failed: out of space': 'retrying, log retrying, wait for retry 0',
    'failed: lease not found': 'retrying, log retrying, wait for retry 0',
  },
  retrying: {
    'assign another value': 'queued, stopWaiting, queue',
    'assign unset': 'queued, stopWaiting, queue',
    waited: 'queued, queue',
    'lease granted': 'queued, stopWaiting, queue',
  },
  contended: { waited: 'queued, queue' },
  disturbed: {
    'assign another value': 'queued, stopWaiting, queue',
    'assign unset': 'queued, stopWaiting, queue',
    waited: 'queued, queue',
    'lease granted': 'queued, stopWaiting, queue',
  },
  waitingForLease: {
    'assign another value': 'queued, queue',
    'assign unset': 'gone, log recovered, rest',
    'lease granted': 'queued, queue',
    'watched: deleted': 'queued, queue',
    "watched: another's": 'queued, queue',
    'verified: deleted': 'queued, queue',
    'verified: the same': 'queued, queue',
    "verified: another's": 'queued, queue',
  },
  conflict: {
    'assign another value': 'conflict, log conflict, rest',
    'assign unset': 'gone, log recovered, rest',
    'lease granted': 'conflict, log conflict, rest',
    'watched: deleted': 'queued, queue',
    "watched: another's": 'conflict, log conflict, rest',
    'verified: deleted': 'queued, queue',
    'verified: the same': 'conflict, log conflict, rest',
    "verified: another's": 'conflict, log conflict, rest',
  },
  held: {
    'assign another value': 'queued, queue',
    'assign unset': 'queued, queue',
    'assign the same to forget': 'held, forget',
    'lease granted': 'held, rest',
    'watched: deleted': 'queued, report repair by watch, queue',
    "watched: another's": 'conflict, report repair by watch, log conflict, rest',
    'verified: deleted': 'queued, report repair by read, queue',
    "verified: another's": 'conflict, report repair by read, log conflict, rest',
  },
  tombstoned: {
    'assign another value': 'queued, queue',
    'assign the same to forget': 'tombstoned, forget',
    'verified: deleted': 'gone, rest',
    "verified: another's": 'gone, report repair by read, rest',
  },
  gone: {
    'assign another value': 'queued, queue',
    'assign unset': 'gone, rest',
    'assign the same to forget': 'gone, forget',
    "verified: another's": 'gone, report repair by read, rest',
  },
};

/** Feeds events to a key, one after the other. @returns the key, and every effect as words */
function run(first: Transition | OwnedKey, steps: readonly KeyEvent[], facts: Partial<KeyContext> = {}) {
  let key = 'effects' in first ? first.key : first;
  const effects: string[] = [];
  for (const event of steps) {
    const transition = reduceKey(key, event, { ...context, ...facts });
    key = transition.key;
    effects.push(...transition.effects.map(words));
  }
  return { key, effects };
}

const turn: KeyEvent = { kind: 'turn' };
const waited: KeyEvent = { kind: 'waited' };
const read = (observed: ObservedKey): KeyEvent => ({ kind: 'read', observed });
const written = (observed: ObservedKey): KeyEvent => ({ kind: 'written', observed });
const overtaken = (observed: ObservedKey): KeyEvent => ({ kind: 'overtaken', observed });
const assign = (desired: DesiredKey, forget = false): KeyEvent => ({ kind: 'assigned', desired, forget });

describe('the lifecycle of an owned key', () => {
  for (const [phase, key] of Object.entries(phases) as [Phase, OwnedKey][]) {
    for (const [name, make] of Object.entries(events) as [EventName, (key: OwnedKey) => KeyEvent][]) {
      const expected = table[phase][name];
      it(`answers '${name}' in ${phase} with '${expected ?? 'nothing'}'`, () => {
        const before = structuredClone(key);
        const transition = reduceKey(key, make(key), context);
        assert.equal(summary(transition), expected ?? phase);
        assert.deepEqual(key, before, 'the state that was given is not changed');
      });
    }
  }

  it('settles only as held or gone, and rests in six phases', () => {
    const named = (test: (key: OwnedKey) => boolean) =>
      Object.values(phases)
        .filter(test)
        .map(({ phase }) => phase);
    assert.deepEqual(named(isSettled), ['held', 'tombstoned', 'gone']);
    assert.deepEqual(named(isResting), ['disturbed', 'waitingForLease', 'conflict', 'held', 'tombstoned', 'gone']);
  });

  it('reads a new key, writes it under the lease, and holds it', () => {
    const first = beginKey('/k', set('up'));
    assert.deepEqual(first.effects.map(words), ['queue']);
    const { key, effects } = run(first, [turn, read(absentKey), turn, written(ours)]);
    assert.deepEqual(effects, ['send read', 'queue', 'send put up@0 lease 7', 'rest']);
    assert.equal(key.phase, 'held');
    assert.equal(key.claimed, true);
  });

  it('writes a key that no process can have had without reading it first', () => {
    const first = beginKey('/k', set('up'), { isNew: true });
    const { key, effects } = run(first, [turn, written(ours)]);
    assert.deepEqual(effects, ['send put up@0 lease 7', 'rest']);
    assert.equal(key.phase, 'held');
  });

  it('reads a new key whose write was not answered, and overwrites one that is there all the same', () => {
    const first = beginKey('/k', set('up'), { isNew: true });
    const lost = run(first, [turn, failure('unanswered'), waited, turn, read(ours), turn, written(ours)]);
    assert.deepEqual(lost.effects.slice(0, 1), ['send put up@0 lease 7']);
    assert.ok(lost.effects.includes('send read'), lost.effects.join());
    assert.equal(lost.key.phase, 'held');
    const { effects } = run(first, [turn, overtaken(theirs), turn]);
    assert.deepEqual(effects, ['send put up@0 lease 7', 'queue', 'send put up@8 lease 7']);
  });

  it('withdraws a new key without a write when it has not been written', () => {
    const waiting = run(beginKey('/k', set('up'), { isNew: true }), [assign(unset(), true), turn]);
    assert.deepEqual([waiting.key.phase, waiting.effects], ['gone', ['forget', 'rest']]);
  });

  it('takes over what a predecessor left, whatever its lease, and reports it once', () => {
    const { key, effects } = run(fresh, [turn, read(theirs), turn, overtaken(theirs), turn]);
    assert.deepEqual(effects, [
      'send read',
      'report found other',
      'queue',
      'send put up@8 lease 7',
      'queue',
      'send put up@8 lease 7',
    ]);
    assert.equal(key.phase, 'writingValue');
  });

  it('does not fight over a key that it has written and another live process holds', () => {
    const { key, effects } = run(at('writingValue', { request: put, observed: ours, claimed: true, inspected: true }), [
      overtaken(theirs),
    ]);
    assert.equal(key.phase, 'conflict');
    assert.match(key.reason ?? '', /held by another process under lease 9/);
    assert.deepEqual(effects, ['log conflict', 'rest']);
    assert.deepEqual(run(key, [{ kind: 'verified', observed: theirs, since: key.observed }]).effects, ['rest']);
  });

  it('overwrites a key without a lease, and one under a former lease of its own', () => {
    for (const lease of ['0', '6']) {
      const edited = present('9', 'edited', lease);
      const { key, effects } = run(phases.held, [
        { kind: 'watched', version: { revision: 9, observed: edited } },
        turn,
      ]);
      assert.equal(key.phase, 'writingValue');
      assert.equal(effects.at(-1), 'send put up@9 lease 7');
    }
  });

  it('leaves a tombstone under a lease of its own, which it asks for first', () => {
    const asked = run(phases.held, [assign(unset('down'))], noTombstoneLease);
    assert.deepEqual([asked.key.phase, asked.effects], ['awaitingTombstoneLease', ['grantTombstoneLease']]);
    const { key, effects } = run(asked.key, [{ kind: 'tombstoneLeaseGranted' }, turn, written(tombstone)]);
    assert.deepEqual(effects, ['queue', 'send putTombstone down@5 lease 20', 'rest']);
    assert.equal(key.phase, 'tombstoned');
  });

  it('writes a tombstone under the lease of the key and deletes it when etcd grants no other lease', () => {
    const refused: KeyEvent = {
      kind: 'tombstoneLeaseFailed',
      failure: { kind: 'outOfSpace', reason: 'database space exceeded' },
    };
    const brief = present('6', 'down', '7');
    const steps = [assign(unset('down')), refused, turn, written(brief), turn, written(absentKey)];
    const { key, effects } = run(phases.held, steps, noTombstoneLease);
    assert.deepEqual(effects, [
      'grantTombstoneLease',
      'queue',
      'send putTombstone down@5 kept lease 7',
      'queue',
      'send delete@6',
      'rest',
    ]);
    assert.equal(key.phase, 'gone');
    assert.equal(key.withdrawal, 'lasting', 'the next withdrawal asks for a lease again');
  });

  it('takes a vanished tombstone for the end of its lease, and writes it no second time', () => {
    const vanished: KeyEvent = { kind: 'verified', observed: absentKey, since: tombstone };
    const { key, effects } = run(phases.tombstoned, [vanished, { kind: 'leaseGranted' }], noTombstoneLease);
    assert.deepEqual([key.phase, effects], ['gone', ['rest']]);
  });

  it('deletes its tombstone when it is announced again, so that it has a new create revision', () => {
    const steps = [assign(set('up')), turn, written(absentKey), turn, written(present('9', 'up', '7'))];
    const { key, effects } = run(phases.tombstoned, steps);
    assert.equal(key.phase, 'held');
    assert.deepEqual(effects, ['queue', 'send delete@6', 'queue', 'send put up@0 lease 7', 'rest']);
  });

  it('asks for another lease for tombstones when etcd does not know the one it has', () => {
    const { key, effects } = run(phases.writingTombstone, [failure('leaseNotFound')]);
    assert.deepEqual([key.phase, effects], ['awaitingTombstoneLease', ['lose lease 20', 'grantTombstoneLease']]);
  });

  it('takes over a key whose other owner has left a tombstone', () => {
    const left = present('20', 'down', '9');
    const { effects } = run(phases.conflict, [{ kind: 'watched', version: { revision: 20, observed: left } }, turn]);
    assert.deepEqual(effects, ['queue', 'send delete@20']);
  });

  it('leaves the tombstone of a predecessor to its lease, and overwrites one that no lease would end', () => {
    const first = beginKey('/k', unset('down')).key;
    const left = (lease: string) => run(first, [turn, read(present('8', 'down', lease)), turn]).key.phase;
    assert.deepEqual([left('9'), left('0')], ['tombstoned', 'writingTombstone']);
  });

  it('says a tombstone for a key whose lease ended before it was withdrawn', () => {
    const steps = [assign(unset('down')), turn, overtaken(absentKey), turn, written(tombstone)];
    const { key, effects } = run(phases.held, steps, { lease: '8', ownLeases: new Set(['7', '8']) });
    assert.deepEqual(effects, [
      'queue',
      'send putTombstone down@5 lease 20',
      'queue',
      'send putTombstone down@0 lease 20',
      'rest',
    ]);
    assert.equal(key.phase, 'tombstoned');
  });

  const freed: readonly [string, KeyEvent][] = [
    ['a watch shows', { kind: 'watched', version: { revision: 12, observed: absentKey } }],
    ['a read shows', { kind: 'verified', observed: absentKey, since: theirs }],
  ];
  for (const [how, event] of freed) {
    it(`says a tombstone, once ${how} that the record is gone which another program wrote over its own`, () => {
      const taken: KeyEvent = { kind: 'watched', version: { revision: 8, observed: theirs } };
      // It is the second change by others within a short time, so the key waits.
      const steps = [taken, assign(unset('down')), event, waited, turn, written(tombstone)];
      const { key, effects } = run(phases.held, steps);
      assert.equal(key.phase, 'tombstoned');
      assert.deepEqual(effects.slice(-2), ['send putTombstone down@0 lease 20', 'rest']);
    });
  }

  it('says no tombstone for a key whose other owner has withdrawn it', () => {
    const seen = (revision: number, observed: ObservedKey): KeyEvent => ({
      kind: 'watched',
      version: { revision, observed },
    });
    const steps = [seen(8, theirs), seen(9, present('9', 'down', '30')), assign(unset('down'))];
    const { key } = run(phases.conflict, [...steps, seen(10, absentKey), turn, written(absentKey)]);
    assert.equal(key.phase, 'gone');
  });

  it('says a tombstone for a key that is not there at its start: an earlier process may have lost its lease', () => {
    const steps = [turn, read(absentKey), turn, written(tombstone)];
    const { key, effects } = run(beginKey('/k', unset('down')), steps);
    assert.equal(key.phase, 'tombstoned');
    assert.deepEqual(effects.slice(-2), ['send putTombstone down@0 lease 20', 'rest']);
    const { key: ending } = run(beginKey('/k', unset('down')), steps, { closing: true });
    assert.equal(ending.phase, 'gone');
  });

  it('waits for space in etcd for the tombstone of a key whose lease ended', () => {
    const lost = { ...phases.writingTombstone, observed: absentKey };
    for (const [title, key, event, more] of [
      ['no space for the tombstone', lost, failure('outOfSpace'), {}],
      [
        'no space for its lease',
        { ...phases.awaitingTombstoneLease, observed: absentKey },
        { kind: 'tombstoneLeaseFailed', failure: { kind: 'outOfSpace', reason: 'no space' } },
        noTombstoneLease,
      ],
    ] as const) {
      const waiting = run(key, [event], more);
      assert.equal(waiting.key.phase, 'retrying', title);
      const steps: readonly KeyEvent[] = [waited, turn, read(absentKey), turn, written(tombstone)];
      assert.equal(run(waiting.key, steps).key.phase, 'tombstoned', title);
      assert.notEqual(run(key, [event], { ...more, closing: true }).key.phase, 'retrying', title);
    }
  });

  it('waits for space too when it learns that the lease has ended only after etcd had none', () => {
    const steps = [failure('outOfSpace'), turn, read(absentKey), turn, failure('outOfSpace')];
    const waiting = run(phases.writingTombstone, steps);
    assert.equal(waiting.key.phase, 'retrying');
    const later: readonly KeyEvent[] = [waited, turn, read(absentKey), turn, written(tombstone)];
    assert.equal(run(waiting.key, later).key.phase, 'tombstoned');
    assert.equal(run(phases.writingTombstone, steps.slice(0, 3), { closing: true }).key.phase, 'gone');
  });

  it('is not concerned when others delete a key that it does not want and leaves no tombstone for', () => {
    const steps = [turn, read(absentKey)];
    const { key } = run(beginKey('/k', unset()), steps);
    assert.equal(key.phase, 'gone');
    const { effects } = run(key, [{ kind: 'watched', version: { revision: 12, observed: absentKey } }]);
    assert.deepEqual(effects, []);
  });

  it('says no tombstone for a key that it has deleted', () => {
    const deleted = run(phases.deleting, [written(absentKey), assign(unset('down'))]);
    assert.equal(deleted.key.phase, 'gone');
  });

  it('deletes without a tombstone when etcd has no space for one', () => {
    const { effects } = run(phases.writingTombstone, [
      failure('outOfSpace'),
      turn,
      read(ours),
      turn,
      written(absentKey),
    ]);
    assert.deepEqual(effects, ['queue', 'send read', 'queue', 'send delete@5', 'rest']);
  });

  it('leaves a key to another owner even when etcd has no space for the tombstone', () => {
    const { key } = run(phases.writingTombstone, [failure('outOfSpace'), turn, read(theirs)]);
    assert.equal(key.phase, 'gone');
  });

  it('writes again after a write without an answer, though the key looks right', () => {
    const writing = at('writingValue', { request: put, observed: present('5', 'old', '7'), claimed: true });
    const { key, effects } = run(writing, [failure('unanswered'), waited, turn, read(ours), turn]);
    assert.equal(key.doubtful, true);
    assert.deepEqual(effects.slice(-3), ['send read', 'queue', 'send put up@5 lease 7']);
    assert.equal(run(key, [written(present('6', 'up', '7'))]).key.phase, 'held');
  });

  it('keeps what it knows when a write was rejected', () => {
    const { key } = run(at('writingValue', { request: put, observed: ours }), [failure('rejected')]);
    assert.equal(key.observed, ours);
    assert.equal(key.doubtful, false);
  });

  it('replaces the lease when a key is withdrawn while its create may still happen', () => {
    const lost = run(phases.writingValue, [failure('unanswered'), assign(unset()), turn, read(absentKey)]);
    assert.equal(lost.key.phase, 'gone');
    assert.ok(lost.effects.includes('rotateLease'));
    assert.equal(lost.key.pendingCreateLease, null);
  });

  it('keeps the lease when it is another one by now, or about to be revoked anyway', () => {
    const steps = [failure('unanswered'), assign(unset()), turn, read(absentKey)];
    assert.ok(!run(phases.writingValue, steps, { lease: '8' }).effects.includes('rotateLease'));
    assert.ok(!run(phases.writingValue, steps, { closing: true }).effects.includes('rotateLease'));
  });

  it('remembers the lease of the write, not the one that has come since, as that of a late creation', () => {
    const { key } = run(phases.writingValue, [failure('unanswered')], { lease: '8' });
    assert.equal(key.pendingCreateLease, '7');
  });

  it('does not lose a new lease over a write that was sent under the old one', () => {
    const { effects } = run(phases.writingValue, [failure('leaseNotFound')], { lease: '8' });
    assert.deepEqual(effects, ['log retrying', 'wait for retry 0']);
  });

  it('waits for a lease after it has read, and is written when there is one', () => {
    const waiting = run(fresh, [turn, read(absentKey)], noLease);
    assert.equal(waiting.key.phase, 'waitingForLease');
    assert.equal(waiting.key.reason, 'waiting for a lease');
    assert.deepEqual(run(waiting.key, [{ kind: 'leaseGranted' }, turn]).effects, ['queue', 'send put up@0 lease 7']);
  });

  it('withdraws without a lease', () => {
    const { key } = run(phases.held, [assign(unset('down')), turn], noLease);
    assert.equal(key.phase, 'writingTombstone');
  });

  it('moves every key that is set to a new lease, and no key that is gone', () => {
    const facts = { lease: '8', ownLeases: new Set(['7', '8']) };
    assert.deepEqual(run(phases.held, [{ kind: 'leaseGranted' }, turn], facts).effects, [
      'queue',
      'send put up@5 lease 8',
    ]);
    assert.deepEqual(run(phases.gone, [{ kind: 'leaseGranted' }], facts).effects, []);
  });

  it('sends what is desired when its turn comes, not what was desired when it was queued', () => {
    const { effects } = run(phases.held, [assign(set('never seen')), assign(set('last')), turn]);
    assert.deepEqual(effects, ['queue', 'send put last@5 lease 7']);
  });

  it('sends nothing when its former value is desired again before its turn', () => {
    const { key, effects } = run(phases.held, [assign(set('other')), assign(set('up')), turn]);
    assert.equal(key.phase, 'held');
    assert.deepEqual(effects, ['queue', 'rest']);
  });

  it('pauses after every ten requests that others overtook', () => {
    let key = phases.writingValue;
    const pauses: string[] = [];
    for (let requests = 1; requests <= 20; requests += 1) {
      const after = run(key, [overtaken(present(String(requests), 'x', '9'))]);
      pauses.push(...after.effects.filter((effect) => effect.startsWith('wait')));
      key = run(after.key, [waited, turn]).key;
    }
    assert.deepEqual(pauses, ['wait for contention 1', 'wait for contention 2']);
  });

  it('waits longer after each failure, logs the first one, and says when it is over', () => {
    const { key, effects } = run(phases.reading, [failure('rejected'), waited, turn, failure('unanswered')]);
    assert.deepEqual(effects, ['log retrying', 'wait for retry 0', 'queue', 'send read', 'wait for retry 1']);
    assert.equal(key.reason, 'unanswered');
    const after = run(key, [waited, turn, read(absentKey), turn, written(ours)]);
    assert.deepEqual(after.effects.slice(-2), ['log recovered', 'rest']);
    assert.equal(after.key.reason, null);
  });

  it('repairs a disturbed key at once, and later when it is disturbed again soon', () => {
    const deleted = (revision: number): KeyEvent => ({ kind: 'watched', version: { revision, observed: absentKey } });
    const once = run(phases.held, [deleted(20)]);
    assert.deepEqual(once.effects, ['report repair by watch', 'queue']);
    const again = run(once.key, [turn, written(present('21', 'up', '7')), deleted(22)], { now: 105_000 });
    assert.equal(again.key.phase, 'disturbed');
    assert.equal(again.effects.at(-1), 'wait for disturbance 1');
    const calm = run(again.key, [waited, turn, written(present('23', 'up', '7')), deleted(24)], { now: 200_000 });
    assert.equal(calm.key.phase, 'queued');
  });

  it('repairs a key that a restored etcd has at the same revision, with another value or lease', () => {
    for (const other of [present('5', 'before the backup', '7'), present('5', 'up', '9')]) {
      const held = { ...phases.held, observed: present('5', 'up', '7') };
      const { effects } = run(held, [{ kind: 'verified', observed: other, since: held.observed }]);
      assert.equal(effects[0], 'report repair by read');
    }
  });

  it('applies a version that the watch shows during a write when the write is over', () => {
    const write = present('21', 'up', '7');
    const deletedAt = (revision: number): KeyEvent => ({ kind: 'watched', version: { revision, observed: absentKey } });
    const own: KeyEvent = { kind: 'watched', version: { revision: 21, observed: write } };
    assert.equal(run(phases.writingValue, [own, written(write)]).key.phase, 'held');
    const { key, effects } = run(phases.writingValue, [deletedAt(22), written(write)]);
    assert.equal(key.phase, 'queued');
    assert.deepEqual(effects, ['rest', 'report repair by watch', 'queue']);
    assert.equal(key.pendingVersion, null);
  });

  it('is forgotten when it is gone, or at once when it is gone already', () => {
    assert.deepEqual(run(phases.deleting, [assign(unset(), true), written(absentKey)]).effects, ['forget', 'rest']);
    assert.deepEqual(run(phases.gone, [assign(unset(), true)]).effects, ['forget']);
  });

  it('is not forgotten when it is desired again before it is gone', () => {
    const { key, effects } = run(phases.deleting, [assign(unset(), true), assign(set('up')), written(absentKey)]);
    assert.equal(key.forget, false);
    assert.deepEqual(effects, ['queue']);
  });
});
