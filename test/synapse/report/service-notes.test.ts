import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { haproxyNotes, serviceNotes } from '../../../synapse/report/service-notes.ts';
import type { ServiceReport } from '../../../synapse/report/service-shape.ts';
import { serviceReport } from '../../support/daemons/service-report.ts';

const report = serviceReport({ age: 16, changed_at: null });
const primary = { name: 'primary', method: 'etcd', role: 'asked', instances: 0, reason: null } as const;
const spare = { name: 'spare', method: 'static', role: 'used', instances: 1, reason: null } as const;

describe('the notes on a service', () => {
  const cases: readonly [title: string, more: Partial<ServiceReport>, lines: readonly string[]][] = [
    ['say where current instances come from', {}, ['api: instances from etcd revision 42, checked 16 s ago']],
    [
      'say since when instances may be out of date',
      { reason: 'connection refused', age: 180 },
      ['api: instances from etcd revision 42, which may be out of date: connection refused; last checked 3 min ago'],
    ],
    [
      'name host names that cannot be looked up, with their last addresses',
      {
        failing_names: [
          { host: 'a.test', address: '10.0.0.1', reason: 'the name server failed' },
          { host: 'b.test', address: null, reason: 'host name not found' },
        ],
      },
      [
        'api: instances from etcd revision 42, checked 16 s ago',
        'host name a.test cannot be looked up: the name server failed; its last address 10.0.0.1 stays in use',
        'host name b.test cannot be looked up: host name not found; it has no address',
      ],
    ],
    [
      'say why the previous instances are kept',
      { origin: 'previous' },
      ['api: the previous instances, because none is found now in etcd revision 42, checked 16 s ago'],
    ],
    [
      'name the instances that flap, and no others',
      {
        returns: {
          'a_10.0.0.1:80': { times: 12, left_at: '2026-11-28T01:00:00.000Z', back_at: '2026-11-28T01:00:01.000Z' },
          'b_10.0.0.2:80': { times: 3, left_at: '2026-11-28T01:00:02.000Z', back_at: null },
          'c_10.0.0.3:80': { times: 2, left_at: '2026-11-28T01:00:00.000Z', back_at: '2026-11-28T01:00:01.000Z' },
        },
      },
      [
        'api: instances from etcd revision 42, checked 16 s ago',
        'a_10.0.0.1:80 flaps: it left its registry and came back 12 times, the last time at 2026-11-28T01:00:01.000Z',
        'b_10.0.0.2:80 flaps: it left its registry and came back 3 times, left again at 2026-11-28T01:00:02.000Z and has not come back',
      ],
    ],
    [
      'say why default servers are used',
      { origin: 'defaults', revision: null, age: null },
      ['api: the default servers, because no instance is found in etcd, known to be current'],
    ],
    [
      'say why instances come from the state file',
      { origin: 'cache', reason: 'no leader' },
      ['api: instances from the state file, because etcd has not answered yet: no leader'],
    ],
    [
      'say that HAProxy keeps its servers while nothing is known',
      { origin: 'nothing', reason: 'no leader' },
      ['api: no instances known, because etcd has not answered yet: no leader; HAProxy keeps the servers it has'],
    ],
    [
      'name the source in use of a service with several',
      { method: 'etcd, else static', revision: null, age: null, sources: [primary, spare] },
      [
        'api: instances from spare (static), known to be current',
        '  primary (etcd): running, not in use, 0 instances',
        '  spare (static): in use, 1 instance',
      ],
    ],
    [
      'list rules, published configuration, preference and suspects',
      {
        rules: ['label az must be a'],
        published: { where: '/config/api', refused: 'not JSON' },
        prefer: { label: 'az', value: 'a', local: 1, in_force: false },
        suspects: { x: '2026-01-01T00:00:00.000Z' },
        lost: {
          x: {
            lease: '7f',
            since: '2025-12-31T23:55:00.000Z',
            phase: 'suspect',
            look: 'it answers',
            until: '2026-01-01T00:00:00.000Z',
            ends: 'two failed looks',
          },
        },
      },
      [
        'api: instances from etcd revision 42, checked 16 s ago',
        'rule: label az must be a',
        'the configuration published at /config/api is in force, on top of the local one',
        'the newest published configuration is refused: not JSON',
        'prefers az a: 1 local instance, too few to come first, so all instances are used alike',
        'expiry guard in force: 1 instance is kept as a suspect, because many leases were lost together',
        '  x: suspect: lease 7f lost at 2025-12-31T23:55:00.000Z; it answers; kept until 2026-01-01T00:00:00.000Z at most; ended by two failed looks',
      ],
    ],
  ];
  for (const [title, more, lines] of cases) {
    it(title, () => assert.deepEqual(serviceNotes('api', { ...report, ...more }), lines));
  }
});

describe('the notes on HAProxy about a service', () => {
  it('say that its records want too many reloads, and which of its servers HAProxy does not change', () => {
    const stuck = (service: string) => ({
      service,
      backend: service,
      name: 'one',
      reason: `HAProxy does not add ${service}/one`,
    });
    const found = {
      sockets: [],
      problems: {},
      waitingReload: { api: 23 },
      stuck: [stuck('api'), stuck('web')],
    };
    assert.deepEqual(haproxyNotes('api', found), [
      'the records of api want more reloads than service_reload_interval allows: the next one is due in 23 s',
      'HAProxy does not add api/one; a reload did not help',
    ]);
    assert.deepEqual(haproxyNotes('web', found), ['HAProxy does not add web/one; a reload did not help']);
  });
});
