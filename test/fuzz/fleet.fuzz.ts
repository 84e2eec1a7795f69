import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type AskState, nextAskState, unasked, verdictOf } from '../../common/fleet/ask-state.ts';
import { ackKey, ackOfKey, fleetKeys, isFleetId, proxyKey, proxyOfKey } from '../../common/fleet/keys.ts';
import { progressOf } from '../../common/fleet/progress.ts';
import {
  type AckRecord,
  formatAck,
  formatProxy,
  formatRequest,
  type ProxyRecord,
  parseAck,
  parseProxy,
  parseRequest,
  type RequestRecord,
} from '../../common/fleet/records.ts';
import { InvalidRecord } from '../../common/instance-fields.ts';
import { provenLines } from '../../nerve/commands/proxies.ts';
import { formatFleet } from '../../synapse/commands/fleet.ts';
import { reportOf } from '../../synapse/fleet/report.ts';
import { property } from './property.ts';

const keys = fleetKeys('/smartstack/fleet');
const path = '/nerve/services/api';
const key = `${path}/i-1_10.0.0.5:80`;
const request: RequestRecord = { kind: 'instance', by: 'fuzz', path, key, expect: 'drained', revision: 100 };

const odd = fc.constantFrom<unknown>(
  ...[null, true, '', 'quiet', 'quiet ', 'applied', 'unused', 'cannot', 'Quiet', 0, -0, -1, 0.5, 99, 100, 101],
  ...[
    2 ** 53,
    Number.MAX_VALUE,
    '100',
    [],
    ['quiet'],
    {},
    'session',
    'other',
    '\u001b[2J',
    '__proto__',
    '2026-11-28T04:00:00.000Z',
  ],
);
/** A value of the record, or another one. */
const or = (value: unknown): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: odd });
const nearAck = fc.record(
  {
    v: or(1),
    result: fc.oneof(fc.constantFrom('quiet', 'applied', 'unused', 'cannot'), odd),
    session: fc.oneof(fc.constantFrom('session', 'other'), odd),
    revision: fc.oneof(fc.constantFrom(99, 100, 101), odd),
    applied_at: or('2026-11-28T04:00:00.000Z'),
    ms: or(1),
    connections: or(0),
    queued: or(0),
    old_workers: or(0),
    old_workers_unasked: fc.oneof(fc.constantFrom(0, 0, 0, 1), odd),
    reason: or(null),
    more: odd,
  },
  { requiredKeys: ['result', 'session'] },
);
const bytes = fc.oneof(
  fc.json().map((text) => Buffer.from(text)),
  nearAck.map((ack) => Buffer.from(JSON.stringify(ack))),
  fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
);

/** Text with everything that could move a cursor, begin a line, or hide. */
const hostileText = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 40, unit: 'binary' }),
    fc.constantFrom('a\nb', '\u001b[31mred', '\r', 'a\u202eb', '\u0007', 'x\u2028y', '<script>'),
  )
  .filter((text) => text.length <= 60);
const id = fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme' }).filter(isFleetId);
const time = fc.constantFrom('2026-11-28T04:00:00.000Z', '1970-01-01T00:00:00Z');
const natural = fc.nat({ max: 1_000_000 });
const proxies: fc.Arbitrary<ProxyRecord> = fc.record({
  host: hostileText,
  version: hostileText,
  session: fc.constant('session'),
  startedAt: time,
  paths: fc.array(
    hostileText.filter((text) => !text.endsWith('/')),
    { maxLength: 4 },
  ),
  haproxyProcesses: natural,
});
const acks: fc.Arbitrary<AckRecord> = fc.record({
  result: fc.constantFrom('quiet', 'applied', 'unused', 'cannot'),
  session: fc.constant('session'),
  revision: natural,
  appliedAt: time,
  ms: natural,
  connections: natural,
  queued: natural,
  oldWorkers: natural,
  oldWorkersUnasked: natural,
  reason: fc.option(hostileText),
});

const lease = '7';
const asked = (proxy: Buffer | string, ack: Buffer | string, name = 'a'): AskState => {
  const steps = [
    { kind: 'asked', id: 'request', request },
    { kind: 'proxies', changes: [{ id: name, entry: { value: Buffer.from(proxy), lease } }], whole: true },
    {
      kind: 'acks',
      request: 'request',
      changes: [{ id: name, entry: { value: Buffer.from(ack), lease } }],
      whole: true,
    },
  ] as const;
  return steps.reduce<AskState>(nextAskState, unasked);
};
const plain = formatProxy({
  ...{ host: 'a', version: '2', session: 'session', startedAt: '2026-11-28T04:00:00.000Z' },
  ...{ paths: [path], haproxyProcesses: 1 },
});

/** One line for each proxy below three lines of head, whatever is in the records. */
function assertLines(text: string, lines: number): void {
  assert.equal(text.split('\n').length, lines, JSON.stringify(text));
}

export const properties = [
  property('whatever is in a record of the fleet, it is read, or refused with the reason', bytes, (value) => {
    for (const parse of [parseProxy, parseRequest, parseAck]) {
      try {
        parse(value);
      } catch (error) {
        assert.ok(error instanceof InvalidRecord, String(error));
        assert.ok(error.message.length < 1_000, 'a reason is short');
      }
    }
  }),
  property(
    'a record of a proxy and an acknowledgement are read as they were written',
    fc.tuple(proxies, acks),
    ([proxy, ack]) => {
      assert.deepEqual(parseProxy(formatProxy(proxy)), { ...proxy });
      assert.deepEqual(parseAck(formatAck(ack)), { ...ack });
    },
  ),
  property('a request is read as it was written', fc.tuple(hostileText, natural), ([by, revision]) => {
    for (const record of [
      { ...request, by, revision },
      { kind: 'revision', by, revision, path },
      { kind: 'revision', by, revision },
    ] as const) {
      assert.deepEqual(parseRequest(formatRequest(record)), record);
    }
  }),
  property('any id of a proxy comes back from its keys', id, (name) => {
    assert.equal(proxyOfKey(keys, proxyKey(keys, name)), name);
    const requestId = 'A'.repeat(22);
    assert.deepEqual(ackOfKey(keys, ackKey(keys, requestId, name)), { request: requestId, id: name });
  }),
  property(
    'a drain is done only by an acknowledgement that says so, of this session and about this revision',
    nearAck,
    (ack) => {
      const state = asked(plain, JSON.stringify(ack));
      if (verdictOf(state) !== 'done') return;
      assert.ok(ack.result === 'quiet' || ack.result === 'unused', 'its result');
      assert.equal(ack.session, 'session');
      assert.ok(Number.isSafeInteger(ack.revision) && Number(ack.revision) >= 100, 'its revision');
      // JSON may have -0, which is 0.
      assert.ok(ack.old_workers_unasked === 0, 'old workers that were not asked');
      for (const count of [ack.connections, ack.queued, ack.old_workers]) {
        assert.ok(Number.isSafeInteger(count) && Number(count) >= 0, 'a count that is none');
      }
    },
    { cases: 1_000 },
  ),
  property('a proxy whose record is anything at all is waited for', bytes, (value) => {
    assert.equal(verdictOf(asked(value, '')), 'waiting');
  }),
  property('a drain that is quiet with whatever else in it ends', fc.tuple(proxies, hostileText), ([proxy, reason]) => {
    const ack = { result: 'quiet', session: 'session', revision: 100, appliedAt: '2026-11-28T04:00:00.000Z' } as const;
    const counts = { ms: 1, connections: 0, queued: 0, oldWorkers: 0, oldWorkersUnasked: 0 };
    const state = asked(formatProxy({ ...proxy, paths: [path] }), formatAck({ ...ack, ...counts, reason }));
    assert.equal(verdictOf(state), 'done');
  }),
  property('no record adds a line to what people read', fc.tuple(id, proxies, acks), ([name, proxy, ack]) => {
    const state = asked(formatProxy({ ...proxy, paths: [...proxy.paths, path] }), formatAck(ack), name);
    const progress = progressOf(state, 5, { outcome: verdictOf(state) === 'done' ? 'done' : 'timeout' });
    assertLines(formatFleet(reportOf('/smartstack/fleet', { state, progress })), 5);
    const instances = [{ service: 'api', instance: 'i', progress: { ...progress, outcome: 'done' as const } }];
    assertLines(provenLines({ instances, verdict: 'proven', reason: null }, 'is drained'), 2);
    assertLines(progress.reason ?? '', 1);
  }),
];
