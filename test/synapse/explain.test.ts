import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeInstance } from '../../common/instance.ts';
import { explain } from '../../synapse/explain.ts';
import { formatStatus, type StatusReport } from '../../synapse/statustable.ts';

const state: StatusReport = {
  version: '1.2.3',
  reason: 'no answer and nothing cached for web',
  services: {
    api: {
      method: 'etcd',
      origin: 'discovered',
      reason: null,
      age: 0.25,
      revision: '42',
      changed_at: '2026-01-01T00:00:00.000Z',
      instances: [
        makeInstance({ name: 'a', host: '10.0.0.1', port: 80, weight: 5 }),
        makeInstance({ name: 'b', host: '10.0.0.2', port: 80, state: 'drain', backup: true }),
      ],
      left_out: [{ id: 'c_10.0.0.3:80', reason: 'it is not the leader' }],
      rejected: [{ where: '/nerve/services/api/bad', reason: 'not JSON: "x"' }],
    },
    web: {
      method: 'etcd',
      origin: 'nothing',
      reason: 'etcd is away',
      age: null,
      revision: null,
      changed_at: null,
      instances: null,
      left_out: [],
      rejected: [],
    },
    none: {
      method: 'static',
      origin: 'discovered',
      reason: null,
      age: null,
      revision: null,
      changed_at: '2026-01-01T00:00:00.000Z',
      instances: [],
      left_out: [],
      rejected: [],
    },
  },
  haproxy: {
    sockets: [
      { path: '/a.sock', connected: true, version: '2.6.12', workerPid: 7, lastError: null },
      { path: '/b.sock', connected: false, version: null, workerPid: null, lastError: 'ENOENT' },
    ],
    pendingReload: ['service new is new'],
    rejected: null,
    lastError: null,
    held: [{ service: 'api', backend: 'api.be', name: 'a_10.0.0.1:80', held: 'maintenance' }],
    problems: { web: 'a bad name' },
  },
};

test('status shows HAProxy, every instance, and what is out of the ordinary', () => {
  const now = Date.parse('2026-01-01T00:10:00.000Z');
  assert.equal(
    formatStatus(state, now),
    `synapse 1.2.3: no answer and nothing cached for web
HAProxy 2.6.12 (worker 7) at /a.sock
HAProxy at /b.sock: not connected: ENOENT
reload is due: service new is new
api.be/a_10.0.0.1:80: maintenance, set by someone else
web: not in HAProxy: a bad name

SERVICE  INSTANCE         STATE          WEIGHT  FROM     CHANGED
api      a_10.0.0.1:80    up             5       etcd     10m
api      b_10.0.0.2:80    drain, backup          etcd     10m
web      (not known yet)                         nothing
none     (none)                                  static   10m

api: skipped /nerve/services/api/bad: not JSON: "x"
web: may be out of date: etcd is away
`,
  );
});

describe('explain', () => {
  test('says of every instance whether it is used, and why', () => {
    assert.equal(
      explain(state, 'api'),
      `api: from what its source found
source etcd, revision 42: known to be current, last proof 0.3 s ago
HAProxy: a reload is due: service new is new
HAProxy: a_10.0.0.1:80 is in maintenance, set by someone else, and stays so

INSTANCE                 USED  WHY
a_10.0.0.1:80            yes
b_10.0.0.2:80            yes   drains: finishes what it has
c_10.0.0.3:80            no    it is not the leader
/nerve/services/api/bad  no    skipped: not JSON: "x"
`,
    );
  });

  test('says of one server what there is to say', () => {
    const text = explain(state, 'api', 'c_10.0.0.3:80');
    assert.match(text, /^c_10\.0\.0\.3:80 {2}no {4}it is not the leader$/m);
    assert.doesNotMatch(text, /10\.0\.0\.1/);
    assert.match(explain(state, 'api', 'bad'), /skipped: not JSON/);
  });

  test('says that nothing is known, and why', () => {
    assert.match(explain(state, 'web'), /HAProxy keeps what it has\nsource etcd: may be out of date: etcd is away\n/);
    assert.match(explain(state, 'web'), /^HAProxy: cannot have it: a bad name$/m);
  });

  test('names what there is when asked for what there is not', () => {
    assert.throws(() => explain(state, 'ap'), /^Error: no service ap; there are api, none, web$/);
    assert.throws(() => explain(state, 'toString'), /^Error: no service toString/);
    assert.throws(() => explain(state, 'api', 'x'), /^Error: etcd knows no x of api/);
  });

  test('says of several sources which one is in use', () => {
    const service = {
      ...state.services.none,
      method: 'etcd, else ec2tag',
      sources: [
        { name: 'primary', method: 'etcd', role: 'asked', instances: 0, reason: null },
        { name: 'fallback', method: 'ec2tag', role: 'used', instances: 2, reason: 'RequestLimitExceeded' },
        { name: 'third', method: 'dns', role: 'idle', instances: null, reason: null },
        { name: 'fourth', method: 'dns', role: 'asked', instances: null, reason: 'has not answered yet' },
      ],
      instances: [makeInstance({ host: '10.0.0.1', port: 80 })],
    };
    const report = { ...state, services: { api: service } } as StatusReport;
    const text = explain(report, 'api');
    assert.match(text, /^ {2}primary: etcd, asked and not in use, 0 instances$/m);
    assert.match(text, /^ {2}fallback: ec2tag, in use, 2 instances, may be out of date: RequestLimitExceeded$/m);
    assert.match(text, /^ {2}third: dns, not asked$/m);
    assert.match(text, /^ {2}fourth: dns, asked and not in use, no answer yet$/m);
    assert.match(formatStatus(report), /api +10\.0\.0\.1:80 .*fallback \(ec2tag\)/);
  });

  test('says of a suspect until when it is kept', () => {
    const api = { ...state.services.api, suspects: { 'b_10.0.0.2:80': '2026-01-01T00:05:00.000Z' } };
    const report = { ...state, services: { api } } as StatusReport;
    assert.match(explain(report, 'api'), /b_10\.0\.0\.2:80 +yes +drains: .*; suspect: .*2026-01-01T00:05:00\.000Z/);
    assert.match(formatStatus(report), /drain, backup, suspect/);
  });
});
