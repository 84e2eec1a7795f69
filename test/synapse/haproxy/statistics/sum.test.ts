import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HaproxyStatistics } from '../../../../synapse/haproxy/statistics/counters.ts';
import type { Counters, ServerStatistics } from '../../../../synapse/haproxy/statistics/server-shape.ts';
import { sumStatistics } from '../../../../synapse/haproxy/statistics/sum.ts';

function counters(fields: Partial<Counters> = {}): Counters {
  return {
    status: 'UP',
    current: 1,
    queued: 0,
    sessions: 5,
    requests: 5,
    errors: 1,
    failed: 0,
    retries: 0,
    active: 3,
    backup: 1,
    ...fields,
  };
}

function server(name: string, fields: Partial<ServerStatistics> = {}): ServerStatistics {
  return { ...counters(), name, address: '', weight: 1, check: 'L4OK', detail: '', since: 9, ...fields };
}

function statistics(backends: Record<string, Counters>, servers: readonly ServerStatistics[] = []): HaproxyStatistics {
  return { backends: new Map(Object.entries(backends)), servers: new Map([['api', servers]]) };
}

describe('the statistics of several HAProxy processes', () => {
  it('are added up', () => {
    const sum = sumStatistics([
      statistics({ api: counters({ active: 2 }) }),
      statistics({ api: counters(), web: counters() }),
    ]);
    assert.deepEqual(
      sum.backends.get('api'),
      counters({ current: 2, sessions: 10, requests: 10, errors: 2, active: 2 }),
    );
    assert.deepEqual(sum.backends.get('web'), counters());
    assert.deepEqual(sum.servers.get('api'), []);
  });

  it('have no requests if no process counts any', () => {
    const tcp = counters({ requests: null });
    assert.equal(
      sumStatistics([statistics({ api: tcp }), statistics({ api: tcp })]).backends.get('api')?.requests,
      null,
    );
  });

  const statuses: readonly (readonly [string, string, string])[] = [
    ['UP', 'UP', 'UP'],
    ['UP', 'UP 2/3', 'UP 2/3'],
    ['DRAIN', 'UP', 'DRAIN'],
    ['MAINT', 'UP', 'MAINT'],
    ['no check', 'DOWN', 'DOWN'],
    ['MAINT', 'DOWN 1/2', 'DOWN 1/2'],
  ];
  for (const [one, other, worse] of statuses) {
    it(`show the server as ${worse}, with the detail of that process, if one says ${one} and another ${other}`, () => {
      const servers = [
        server('a', { status: one, detail: one }),
        server('a', { status: other, detail: other }),
      ] as const;
      for (const [a, b] of [servers, servers.toReversed()] as const) {
        const [sum] =
          sumStatistics([statistics({}, [a as ServerStatistics]), statistics({}, [b as ServerStatistics])]).servers.get(
            'api',
          ) ?? [];
        assert.deepEqual([sum?.status, sum?.detail, sum?.sessions], [worse, worse, 10]);
      }
    });
  }
});
