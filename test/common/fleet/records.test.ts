import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type AckRecord,
  concerns,
  foldPaths,
  formatAck,
  formatProxy,
  formatRequest,
  fulfils,
  maxBytes,
  type ProxyRecord,
  parseAck,
  parseProxy,
  parseRequest,
  type RequestRecord,
  readRequest,
} from '../../../common/fleet/records.ts';
import { InvalidRecord } from '../../../common/instance-fields.ts';

const proxy: ProxyRecord = {
  host: 'host-a',
  version: '2.0.0',
  session: 'c2Vzc2lvbg',
  startedAt: '2026-11-28T04:00:00.000Z',
  paths: ['/nerve/services/api'],
  haproxyProcesses: 1,
};
const drained: RequestRecord = {
  kind: 'instance',
  by: 'nerve on host-b',
  path: '/nerve/services/api',
  key: '/nerve/services/api/i-1_10.0.0.5:80',
  expect: 'drained',
  revision: 100,
};
const everything: RequestRecord = { kind: 'revision', by: 'synapse fleet', revision: 100 };
const quiet: AckRecord = {
  result: 'quiet',
  session: 'c2Vzc2lvbg',
  revision: 100,
  appliedAt: '2026-11-28T04:00:01.000Z',
  ms: 3.5,
  connections: 0,
  queued: 0,
  oldWorkers: 0,
  oldWorkersUnasked: 0,
  reason: null,
};

const changed = (text: string, change: object): string => JSON.stringify({ ...JSON.parse(text), ...change });

describe('records of the fleet', () => {
  const requests: readonly RequestRecord[] = [
    drained,
    { ...drained, expect: 'up' },
    { ...drained, expect: 'gone' },
    everything,
    { ...everything, path: '/nerve/services/api' },
  ];
  it('are read as they were written', () => {
    assert.deepEqual(parseProxy(formatProxy(proxy)), proxy);
    for (const request of requests) assert.deepEqual(parseRequest(formatRequest(request)), request);
    for (const ack of [quiet, { ...quiet, result: 'cannot' as const, reason: 'HAProxy does not answer' }]) {
      assert.deepEqual(parseAck(formatAck(ack)), ack);
    }
  });

  it('may have fields of later versions', () => {
    const later = { v: 9, more: { a: [1] } };
    assert.deepEqual(parseProxy(changed(formatProxy(proxy), later)), proxy);
    assert.deepEqual(parseRequest(changed(formatRequest(drained), later)), drained);
    assert.deepEqual(parseAck(changed(formatAck(quiet), later)), quiet);
  });

  it('have a reason of bounded length', () => {
    const ack = parseAck(formatAck({ ...quiet, reason: 'x'.repeat(10_000) }));
    assert.equal(ack.reason?.length, 500);
  });

  const notRecords = ['', 'null', '[]', '7', '{', '{}', '{"v":0}', '{"v":"1"}', '{"v":1.5}', `${'['.repeat(100)}`];
  for (const value of notRecords) {
    it(`are not read from ${value.slice(0, 12)}`, () => {
      for (const parse of [parseProxy, parseRequest, parseAck]) assert.throws(() => parse(value), InvalidRecord);
    });
  }

  const wrongProxies: readonly object[] = [
    { host: '' },
    { host: 7 },
    { session: null },
    { session: 'x'.repeat(65) },
    { started_at: 'yesterday' },
    { started_at: '2026-99-99T00:00:00Z' },
    { paths: '/nerve' },
    { paths: [7] },
    { paths: ['/a/'] },
    { paths: [''] },
    { paths: ['x'.repeat(1_025)] },
    { haproxy_processes: -1 },
    { haproxy_processes: 1.5 },
    { more: 'x'.repeat(maxBytes.proxy) },
  ];
  for (const change of wrongProxies) {
    it(`are no proxy with ${JSON.stringify(change).slice(0, 40)}`, () => {
      assert.throws(() => parseProxy(changed(formatProxy(proxy), change)), InvalidRecord);
    });
  }

  const wrongRequests: readonly object[] = [
    { by: undefined },
    { by: 'x'.repeat(257) },
    { revision: '100' },
    { revision: -1 },
    { revision: 2 ** 53 },
    { expect: 'away' },
    { expect: undefined },
    { path: undefined },
    { path: '/nerve/services/web' },
    { key: '/nerve/services/api' },
    { key: '/nerve/services/api/' },
    { key: null },
    { more: 'x'.repeat(maxBytes.request) },
  ];
  for (const change of wrongRequests) {
    it(`are no request with ${JSON.stringify(change).slice(0, 40)}`, () => {
      assert.throws(() => parseRequest(changed(formatRequest(drained), change)), InvalidRecord);
    });
  }

  const wrongAcks: readonly object[] = [
    { result: 'done' },
    { session: undefined },
    { revision: null },
    { applied_at: undefined },
    { ms: -1 },
    { ms: null },
    { connections: '0' },
    { queued: -1 },
    { old_workers: undefined },
    { old_workers_unasked: 1e300 },
    { reason: 7 },
    { reason: 'x'.repeat(501) },
    { more: 'x'.repeat(maxBytes.ack) },
  ];
  for (const change of wrongAcks) {
    it(`are no acknowledgement with ${JSON.stringify(change).slice(0, 40)}`, () => {
      assert.throws(() => parseAck(changed(formatAck(quiet), change)), InvalidRecord);
    });
  }

  it('are no request without a lease', () => {
    const value = Buffer.from(formatRequest(drained));
    assert.deepEqual(readRequest({ value, lease: '7' }), drained);
    assert.throws(() => readRequest({ value, lease: '0' }), /has no lease/);
  });
});

describe('a request', () => {
  const table: readonly (readonly [request: RequestRecord, paths: readonly string[], is: boolean])[] = [
    [drained, ['/nerve/services/api'], true],
    [drained, ['/nerve/services'], true],
    [drained, ['/nerve/services/web', '/nerve'], true],
    [drained, ['/nerve/services/ap'], false],
    [drained, ['/nerve/services/api/i-1_10.0.0.5:80'], false],
    [drained, [], false],
    [everything, [], true],
    [{ ...everything, path: '/nerve/services/api' }, ['/nerve/services/api'], true],
    [{ ...everything, path: '/nerve/services/api' }, ['/nerve/services'], true],
    [{ ...everything, path: '/nerve/services/api' }, ['/nerve/services/api/blue'], true],
    [{ ...everything, path: '/nerve/services/api' }, ['/nerve/services/api2'], false],
  ];
  for (const [request, paths, is] of table) {
    const what = request.kind === 'instance' ? 'for an instance' : `for ${request.path ?? 'everything'}`;
    it(`${what} ${is ? 'concerns' : 'does not concern'} a proxy that follows ${paths.join(' and ') || 'nothing'}`, () => {
      assert.equal(concerns(request, paths), is);
    });
  }
});

describe('an acknowledgement', () => {
  const up: RequestRecord = { ...drained, expect: 'up' };
  const table: readonly (readonly [title: string, change: Partial<AckRecord>, request: RequestRecord, is: boolean])[] =
    [
      ['quiet fulfils drained', {}, drained, true],
      ['quiet of a later revision fulfils drained', { revision: 101 }, drained, true],
      ['quiet of an earlier revision does not fulfil drained', { revision: 99 }, drained, false],
      ['applied does not fulfil drained', { result: 'applied' }, drained, false],
      ['quiet beside old workers that were asked fulfils drained', { oldWorkers: 1 }, drained, true],
      [
        'quiet beside old workers that were not asked does not',
        { oldWorkers: 1, oldWorkersUnasked: 1 },
        drained,
        false,
      ],
      ['unused fulfils drained', { result: 'unused' }, drained, true],
      [
        'unused beside old workers that were not asked does not',
        { result: 'unused', oldWorkersUnasked: 1 },
        drained,
        false,
      ],
      ['unused of an earlier revision does not', { result: 'unused', revision: 1 }, drained, false],
      ['cannot does not fulfil drained', { result: 'cannot' }, drained, false],
      ['applied fulfils up', { result: 'applied' }, up, true],
      ['cannot does not fulfil up', { result: 'cannot' }, up, false],
      ['quiet fulfils gone', {}, { ...drained, expect: 'gone' }, true],
      ['applied does not fulfil gone', { result: 'applied' }, { ...drained, expect: 'gone' }, false],
      ['applied fulfils a revision', { result: 'applied' }, everything, true],
      ['applied of an earlier revision does not', { result: 'applied', revision: 99 }, everything, false],
    ];
  for (const [title, change, request, is] of table) {
    it(title, () => assert.equal(fulfils({ ...quiet, ...change }, request), is));
  }
});

describe('the paths of a proxy', () => {
  it('are sorted, without those below others', () => {
    assert.deepEqual(foldPaths(['/b/c', '/a', '/b', '/a', '/ab']), ['/a', '/ab', '/b']);
  });

  it('become their folders when they are too long for a record, and cover what they covered', () => {
    const paths = Array.from({ length: 5_000 }, (_, index) => `/nerve/services/service-${index}`);
    const folded = foldPaths([...paths, '/other/one']);
    assert.deepEqual(folded, ['/nerve/services', '/other/one']);
    parseProxy(formatProxy({ ...proxy, paths: folded }));
  });
});
