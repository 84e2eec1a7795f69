import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plain } from '../../../common/cli/table.ts';
import { formatStatus } from '../../../nerve/commands/status.ts';
import type { NerveStatus } from '../../../nerve/status-shape.ts';

const now = Date.parse('2026-11-23T12:00:00Z');
const base = {
  service: 'a',
  key: '/k',
  drained: false,
  drainedSince: null,
  weight: null,
  weightGiven: false,
  announced: true,
  reason: null,
  settled: true,
  checks: [],
};
const last = {
  outcome: 'fail',
  milliseconds: 1,
  reason: 'HTTP 503 from GET /health, expected 200 to 399',
  at: '',
} as const;

const state: NerveStatus = {
  daemon: { running: true, reason: null },
  version: '1.0.0',
  ready: false,
  reason: 'no lease in etcd: away',
  services: [
    {
      ...base,
      name: 'api',
      instance: 'i_a:1',
      key: '/nerve/services/api/i_a:1',
      health: 'up',
      since: '2026-11-23T11:59:30Z',
    },
    {
      ...base,
      name: 'draining',
      instance: 'i_a:2',
      key: '/nerve/services/d/i_a:2',
      health: 'up',
      since: '2026-11-23T11:00:00Z',
      drained: true,
      weight: 5,
      weightGiven: true,
    },
    {
      ...base,
      name: 'web',
      instance: 'i_a:3',
      key: 'web/i_a:3',
      health: 'down',
      since: '2026-11-20T12:00:00Z',
      announced: false,
      reason: 'a check fails',
      checks: [
        { name: 'http', type: 'http', up: false, last, recent: [last] },
        { name: 'tcp', type: 'tcp', up: true, last: null, recent: [] },
      ],
    },
    {
      ...base,
      name: 'new',
      instance: 'i_a:4',
      key: '/n/i_a:4',
      health: 'unknown',
      since: '2026-11-23T12:00:01Z',
      announced: false,
      reason: 'not requested yet',
    },
  ],
  leases: [{ hosts: ['http://a:1', 'http://b:2'], ttl: 10, id: null, held: false, lastError: 'away' }],
};

describe('formatStatus', () => {
  it('names another nerve with the same identity', () => {
    const [lease] = state.leases;
    assert.ok(lease !== undefined);
    const rivals = [{ lease: 'cafe', key: '/nerve/services/api/i_a:1' }];
    const text = formatStatus({ ...state, leases: [{ ...lease, held: true, id: 'beef', rivals }] }, plain, now);
    assert.match(
      text,
      /^another process announces \/nerve\/services\/api\/i_a:1 too, under lease cafe: two nerves have the same instance_id/m,
    );
  });

  it('shows one line per service, with the reason why it is not announced', () => {
    assert.equal(
      formatStatus(state, plain, now),
      [
        'nerve 1.0.0: no lease in etcd: away',
        'lease in http://a:1,http://b:2: not held: away',
        '',
        'SERVICE   INSTANCE  PATH                 HEALTH   SINCE   ANNOUNCED  REASON',
        'api       i_a:1     /nerve/services/api  up       30 s    yes',
        'draining  i_a:2     /nerve/services/d    up       60 min  draining   weight 5 by nerve weight',
        'web       i_a:3     web                  down     3 d     no         http: HTTP 503 from GET /health, expected 200 to 399',
        'new       i_a:4     /n                   unknown  0 s     no         not requested yet',
        '',
      ].join('\n'),
    );
  });

  it('shows without a running nerve what etcd has, and why it cannot be read', () => {
    const one = {
      name: 'api',
      instance: 'i_a:1',
      key: '/k',
      revision: '7',
      lease: 'beef',
      ttl: 10,
      left: 4,
      reason: null,
    };
    const none = { revision: null, lease: null, ttl: null, left: null };
    const daemon = { running: false, reason: 'nerve is not running: nothing answers at x' };
    const registry = [
      { ...one, announced: true },
      { ...one, ...none, name: 'web', announced: false },
      { ...one, ...none, name: 'job', announced: null, reason: 'connection refused' },
    ];
    assert.equal(
      formatStatus({ ...state, daemon, registry, services: [] }, plain, now),
      `nerve is not running: nothing answers at x
Nothing checks these services now. This is what etcd has of them; nothing was changed:

SERVICE  INSTANCE  IN ETCD                             REVISION  LEASE
api      i_a:1     yes                                 7         4 of 10 s left
web      i_a:1     no
job      i_a:1     cannot be read: connection refused
`,
    );
  });
});
