import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AskEvent, type AskState, nextAskState, unasked, verdictOf } from '../../../common/fleet/ask-state.ts';
import { progressOf } from '../../../common/fleet/progress.ts';
import { type AckRecord, formatAck, formatProxy, type RequestRecord } from '../../../common/fleet/records.ts';
import { ackOf } from '../../support/etcd/fleet.ts';

const request: RequestRecord = {
  kind: 'instance',
  by: 'a test',
  path: '/nerve/services/api',
  key: '/nerve/services/api/i-1_10.0.0.5:80',
  expect: 'drained',
  revision: 100,
};

const entry = (value: string, lease = '7') => ({ value: Buffer.from(value), lease });
const asked = (id = 'request-0000000001', change: Partial<RequestRecord> = {}): AskEvent => ({
  kind: 'asked',
  id,
  request: { ...request, ...change } as RequestRecord,
});
const proxyValue = (session: string, paths: readonly string[] = ['/nerve/services/api']): string =>
  formatProxy({
    host: 'h',
    version: '2',
    session,
    startedAt: '2026-11-28T04:00:00.000Z',
    paths,
    haproxyProcesses: 1,
  });
const comes = (id: string, session = `session-of-${id}`, paths?: readonly string[]): AskEvent => ({
  kind: 'proxies',
  changes: [{ id, entry: entry(proxyValue(session, paths)) }],
  whole: false,
});
const leaves = (id: string): AskEvent => ({ kind: 'proxies', changes: [{ id, entry: undefined }], whole: false });
const says = (id: string, change: Partial<AckRecord> = {}, session = `session-of-${id}`): AskEvent => ({
  kind: 'acks',
  request: 'request-0000000001',
  changes: [{ id, entry: entry(formatAck(ackOf(session, request, change))) }],
  whole: false,
});
const wholeAcks = (...ids: readonly string[]): AskEvent => ({
  kind: 'acks',
  request: 'request-0000000001',
  changes: ids.map((id) => ({ id, entry: entry(formatAck(ackOf(`session-of-${id}`, request))) })),
  whole: true,
});
const after = (...events: readonly AskEvent[]): AskState => events.reduce(nextAskState, unasked);

describe('a question to the fleet', () => {
  const table: readonly (readonly [title: string, events: readonly AskEvent[], verdict: string, reason?: RegExp])[] = [
    ['waits before it is written', [comes('a')], 'waiting'],
    ['has nobody to answer it without proxies', [asked()], 'nobody'],
    ['has nobody to answer it when none follows the path', [asked(), comes('a', 's', ['/other'])], 'nobody'],
    ['waits for a proxy', [asked(), comes('a')], 'waiting', /a \(no answer\)/],
    ['is done when its one proxy is quiet', [asked(), comes('a'), says('a')], 'done'],
    ['is done when the proxy came before the question', [comes('a'), asked(), says('a')], 'done'],
    ['is done when the answer is seen before the proxy', [asked(), says('a'), comes('a')], 'done'],
    ['waits for a second proxy', [asked(), comes('a'), comes('b'), says('a')], 'waiting', /b \(no answer\)/],
    ['waits for a proxy that comes later', [asked(), comes('a'), says('a'), comes('b')], 'waiting'],
    ['does not wait for a proxy of other services', [asked(), comes('a'), says('a'), comes('b', 's', ['/x'])], 'done'],
    [
      'waits for connections',
      [asked(), comes('a'), says('a', { result: 'applied', connections: 2, queued: 1 })],
      'waiting',
      /3 connections left: a 3/,
    ],
    [
      'is done when the connections have ended',
      [asked(), comes('a'), says('a', { result: 'applied' }), says('a')],
      'done',
    ],
    [
      'waits again when an acknowledgement is corrected',
      [asked(), comes('a'), says('a'), says('a', { result: 'cannot', reason: 'set ready by hand' })],
      'waiting',
      /a \(set ready by hand\)/,
    ],
    [
      'takes no acknowledgement of an earlier revision',
      [asked(), comes('a'), says('a', { revision: 99 })],
      'waiting',
      /has not applied/,
    ],
    [
      'takes no acknowledgement of another session',
      [asked(), comes('a'), says('a', {}, 'other')],
      'waiting',
      /no answer/,
    ],
    ['takes none of a process that has been replaced', [asked(), comes('a'), says('a'), comes('a', 'new')], 'waiting'],
    [
      'takes none of a former request',
      [asked(), comes('a'), asked('request-0000000002'), says('a')],
      'waiting',
      /no answer/,
    ],
    [
      'forgets the answers when it is asked again',
      [asked(), comes('a'), says('a'), asked('request-0000000002')],
      'waiting',
    ],
    [
      'waits for old workers that were not asked',
      [asked(), comes('a'), says('a', { oldWorkers: 2, oldWorkersUnasked: 2 })],
      'waiting',
      /2 old workers of HAProxy cannot be asked/,
    ],
    ['misses a proxy that leaves without an answer', [asked(), comes('a'), comes('b'), says('a'), leaves('b')], 'left'],
    ['misses the only proxy when it leaves', [asked(), comes('a'), leaves('a')], 'left'],
    [
      'does not miss a proxy that leaves after its answer',
      [asked(), comes('a'), says('a'), comes('b'), says('b'), leaves('b')],
      'done',
    ],
    [
      'has nobody left when the only proxy leaves after its answer',
      [asked(), comes('a'), says('a'), leaves('a')],
      'nobody',
    ],
    [
      'does not miss one that left before the question',
      [comes('b'), leaves('b'), asked(), comes('a'), says('a')],
      'done',
    ],
    ['waits for a proxy that comes back', [asked(), comes('a'), leaves('a'), comes('a', 'new')], 'waiting'],
    [
      'is done when a proxy that came back answers',
      [asked(), comes('a'), leaves('a'), comes('a', 'new'), says('a', {}, 'new')],
      'done',
    ],
    [
      'still misses a proxy after it is asked again',
      [asked(), comes('a'), leaves('a'), asked('request-0000000002')],
      'left',
    ],
    [
      'never takes the answer of an id that two processes have',
      [asked(), comes('a', 's1'), comes('a', 's2'), comes('a', 's1'), says('a', {}, 's1')],
      'waiting',
      /several synapses have this id/,
    ],
    [
      'ignores a record without a lease',
      [
        asked(),
        comes('a'),
        says('a'),
        { kind: 'proxies', changes: [{ id: 'x', entry: entry(proxyValue('s'), '0') }], whole: false },
      ],
      'done',
    ],
    [
      'waits for a proxy whose record cannot be read',
      [asked(), { kind: 'proxies', changes: [{ id: 'x', entry: entry('{') }], whole: false }],
      'waiting',
      /x \(its record cannot be read/,
    ],
    [
      'waits for a proxy whose acknowledgement cannot be read',
      [
        asked(),
        comes('a'),
        { kind: 'acks', request: 'request-0000000001', changes: [{ id: 'a', entry: entry('{"v":1}') }], whole: false },
      ],
      'waiting',
      /a \(its acknowledgement cannot be read/,
    ],
    ['ignores acknowledgements of ids that have no proxy', [asked(), says('ghost')], 'nobody'],
    [
      'is done by a whole list with all answers',
      [
        asked(),
        { kind: 'proxies', changes: [{ id: 'a', entry: entry(proxyValue('session-of-a')) }], whole: true },
        wholeAcks('a'),
      ],
      'done',
    ],
    [
      'waits when a whole list lacks an answer',
      [asked(), comes('a'), comes('b'), says('a'), says('b'), wholeAcks('a')],
      'waiting',
    ],
    [
      'does not wait for a proxy that a whole list lacks',
      [
        asked(),
        comes('a'),
        comes('b'),
        says('a'),
        says('b'),
        { kind: 'proxies', changes: [{ id: 'a', entry: entry(proxyValue('session-of-a')) }], whole: true },
        wholeAcks('a'),
      ],
      'done',
    ],
  ];
  for (const [title, events, verdict, reason] of table) {
    it(title, () => {
      const state = after(...events);
      assert.equal(verdictOf(state), verdict);
      if (reason !== undefined) assert.match(String(progressOf(state, 0).reason), reason);
    });
  }

  it('does not miss a proxy that has answered when the deletion of its answer is seen first', () => {
    const gone: AskEvent = {
      kind: 'acks',
      request: 'request-0000000001',
      changes: [{ id: 'b', entry: undefined }],
      whole: false,
    };
    assert.equal(verdictOf(after(asked(), comes('a'), says('a'), comes('b'), says('b'), gone, leaves('b'))), 'done');
  });

  it('leaves every earlier state as it was', () => {
    const before = after(asked(), comes('a'));
    const text = JSON.stringify([...before.members]);
    nextAskState(before, says('a'));
    nextAskState(before, leaves('a'));
    assert.equal(JSON.stringify([...before.members]), text);
  });
});

describe('the progress of a question', () => {
  it('counts proxies and connections, and names the busiest first', () => {
    const state = after(
      asked(),
      ...['a', 'b', 'c', 'd'].map((id) => comes(id)),
      says('a'),
      says('b', { result: 'applied', connections: 1 }),
      says('c', { result: 'applied', connections: 2 }),
      says('d', { result: 'unused' }),
    );
    const progress = progressOf(state, 12.4);
    assert.equal(progress.reason, '2 of 4 proxies; 3 connections left: c 2, b 1');
    assert.deepEqual(
      {
        proxies: progress.proxies,
        acknowledged: progress.acknowledged,
        unused: progress.unused,
        ms: progress.milliseconds,
      },
      { proxies: 4, acknowledged: 2, unused: 1, ms: 12 },
    );
    assert.deepEqual(progress.members, ['a', 'b', 'c', 'd']);
  });

  it('has a bounded list of names and exact numbers', () => {
    const state = after(asked(), ...Array.from({ length: 150 }, (_, index) => comes(`host-${index}`)));
    const progress = progressOf(state, 0);
    assert.equal(progress.waiting.length, 100);
    assert.match(String(progress.reason), /^0 of 150 proxies; waiting for (?:\S+ \(no answer\),? ){5}and 145 more$/);
  });

  it('says why etcd does not answer', () => {
    const state = after(asked(), comes('a'), { kind: 'trouble', reason: 'connection refused' });
    assert.equal(progressOf(state, 0).reason, 'etcd does not answer: connection refused');
    assert.equal(progressOf(state, 0, { outcome: 'done' }).reason, null);
  });
});
