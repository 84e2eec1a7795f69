import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plain } from '../../../../common/cli/table.ts';
import { type InstanceFields, makeInstance } from '../../../../common/instance.ts';
import { verdictOf } from '../../../../synapse/report/explain/diagnosis.ts';
import { instancesOf, type ServiceFacts } from '../../../../synapse/report/explain/facts.ts';
import { formatInstances, formatService } from '../../../../synapse/report/explain/text.ts';
import type { HaproxyReport, ServerReport } from '../../../../synapse/report/haproxy-shape.ts';
import type { Trace } from '../../../../synapse/report/trace-shape.ts';
import type { RegistryRecord } from '../../../../synapse/source.ts';
import { serverReport } from '../../../support/daemons/server-report.ts';
import { serviceFacts } from '../../../support/daemons/service-facts.ts';

const id = 'a_10.0.0.1:80';
const instance = (more: Partial<InstanceFields> = {}) =>
  makeInstance({ name: 'a', host: '10.0.0.1', port: 80, ...more });
const server = (more: Partial<ServerReport> = {}): ServerReport => {
  return serverReport(id, { address: '10.0.0.1:80', check: 'L7OK', since: 5, ...more });
};
const haproxy = (more: Partial<HaproxyReport>): HaproxyReport => ({ sockets: [], problems: {}, ...more });
const record: RegistryRecord = {
  where: `/nerve/services/api/${id}`,
  id,
  name: 'a',
  reason: null,
  announced_at: '2025-12-31T23:59:59.996Z',
  created: '7',
  revision: '9',
  lease: 'beef',
  ttl: 10,
  left: 8,
};
const trace = {
  change: 'added',
  seen_at: '2026-01-01T00:00:00.000Z',
  milliseconds: 3,
  source: 'etcd',
  revision: '7',
} as const;

const well = serviceFacts([instance()], {
  seen: { servers: [server()], reason: null },
  registry: { records: [record], reason: null },
  traces: { [id]: trace },
});
const gone: ServiceFacts = {
  ...well,
  report: { ...well.report, instances: [] },
  registry: { records: [], reason: null },
  seen: { servers: [], reason: null },
};
const missing: ServiceFacts = { ...well, seen: { servers: [], reason: null } };

/** A service whose only server says this. */
const seeing = (more: Partial<ServerReport>, own: Partial<InstanceFields> = {}): ServiceFacts => ({
  ...well,
  report: { ...well.report, instances: [instance(own)] },
  seen: { servers: [server(more)], reason: null },
});

describe('the verdict on an instance', () => {
  const cases: readonly [sentence: string, facts: ServiceFacts, level: string, text: string | RegExp][] = [
    ['takes traffic', well, 'good', "takes traffic; HAProxy's own check agrees (L7OK)"],
    ['without checks', seeing({ status: 'no check', check: '' }), 'good', 'takes traffic; HAProxy does not check it'],
    ['as a backup', seeing({}, { backup: true }), 'good', /^stands by as a backup/],
    ['without weight', seeing({ weight: 0 }), 'warn', 'gets no traffic: its weight is 0'],
    [
      'about to fail',
      seeing({ status: 'UP 1/2', check: 'L4CON' }),
      'warn',
      /about to change its mind \(UP 1\/2, L4CON\)/,
    ],
    [
      'whose check fails in HAProxy',
      seeing({ status: 'DOWN', check: 'L4CON', detail: 'Connection refused' }),
      'bad',
      'in HAProxy, which does not use it: its own check fails (L4CON Connection refused)',
    ],
    ['that drains', seeing({ status: 'DRAIN' }, { state: 'drain' }), 'warn', /^drains: it finishes/],
    ['that should drain and does not', seeing({}, { state: 'drain' }), 'bad', /still gives it new connections/],
    ['in maintenance for no reason', seeing({ status: 'MAINT' }), 'bad', /^in maintenance in HAProxy/],
    [
      'held by hand',
      {
        ...seeing({ status: 'MAINT' }),
        haproxy: haproxy({ held: [{ service: 'api', backend: 'api', name: id, held: 'maintenance' }] }),
      },
      'warn',
      'in maintenance: set in HAProxy by somebody else, and kept',
    ],
    [
      'a suspect',
      { ...well, report: { ...well.report, suspects: { [id]: '2026-01-01T00:05:00.000Z' } } },
      'warn',
      /as a suspect: .*agrees \(L7OK\); kept until 2026-01-01T00:05/,
    ],
    [
      'HAProxy is away',
      { ...well, seen: { servers: null, reason: 'connection refused' } },
      'bad',
      /cannot be asked .*: connection refused/,
    ],
    [
      'waits for a reload',
      { ...missing, haproxy: haproxy({ pendingReload: ['service api is new'] }) },
      'warn',
      /reload: service api is new/,
    ],
    [
      'in a quarantined service',
      { ...missing, haproxy: haproxy({ problems: { api: 'HAProxy refuses it' } }) },
      'bad',
      'not in HAProxy: HAProxy refuses it',
    ],
    [
      'all is refused',
      { ...missing, haproxy: haproxy({ rejected: 'bad keyword' }) },
      'bad',
      /refuses the new configuration: bad keyword/,
    ],
    ['should be there', missing, 'bad', 'not in HAProxy, and it should be'],
    [
      'left out by a rule',
      { ...gone, report: { ...gone.report, left_out: [{ id, reason: 'it is not the leader' }] } },
      'warn',
      'not in HAProxy: it is not the leader',
    ],
    [
      'announced, and the source is stale',
      { ...gone, registry: well.registry, report: { ...gone.report, reason: 'no leader' } },
      'bad',
      /synapse may be out of date: no leader$/,
    ],
    [
      'announced, and a fallback is in use',
      {
        ...gone,
        registry: well.registry,
        report: {
          ...gone.report,
          sources: [{ name: 'fallback', method: 'static', role: 'used', instances: 1, reason: null }],
        },
      },
      'warn',
      'not in HAProxy: the service gets its instances from fallback (static)',
    ],
    ['announced a moment ago', { ...gone, registry: well.registry }, 'warn', /^not in HAProxy yet/],
    [
      'withdrawn',
      { ...gone, traces: { [id]: { ...trace, change: 'removed', how: 'withdrawn' } } },
      'warn',
      /withdrawn in good order/,
    ],
    [
      'expired',
      { ...gone, traces: { [id]: { ...trace, change: 'removed', how: 'expired' } } },
      'bad',
      /its lease ran out/,
    ],
    ['nobody knows why it is there', { ...gone, seen: well.seen }, 'bad', /no source of the service has it/],
    [
      'there, and nothing is known of the service',
      { ...gone, report: { ...gone.report, instances: null, reason: 'no answer' }, seen: well.seen },
      'warn',
      /^in HAProxy \(UP\); whether it should be is not known/,
    ],
    [
      'not there, and etcd is away',
      { ...gone, registry: { records: null, reason: 'no route to host' }, traces: { [id]: trace } },
      'bad',
      /whether it is announced is not known: no route to host$/,
    ],
    [
      'out of service',
      { ...gone, seen: { servers: [server({ status: 'MAINT' })], reason: null } },
      'warn',
      /as it should be/,
    ],
  ];
  for (const [sentence, facts, level, text] of cases) {
    it(sentence, () => {
      const [one] = instancesOf(facts, id);
      assert.ok(one !== undefined);
      const verdict = verdictOf(facts, one);
      assert.equal(verdict.level, level);
      if (typeof text === 'string') assert.equal(verdict.text, text);
      else assert.match(verdict.text, text);
    });
  }

  it('of a record that cannot be used names what is wrong with it, by its key', () => {
    const where = '/nerve/services/api/bad';
    const facts = { ...gone, report: { ...gone.report, rejected: [{ where, reason: 'not JSON: "x"' }] } };
    assert.match(
      formatService(facts),
      /api\/bad {2}no {4}✗ not in HAProxy: its record cannot be used: not JSON: "x"$/m,
    );
    assert.equal(instancesOf(facts, 'bad').length, 1);
  });
});

describe('the way of one instance', () => {
  it('says when the first full set came, of one that has not changed since', () => {
    const report = { ...well.report, answered_at: '2026-01-01T00:00:00.000Z' };
    const facts = { ...well, report, traces: {} };
    const now = Date.parse('2026-01-01T00:01:00.000Z');
    assert.match(
      formatInstances(facts, instancesOf(facts, id), plain, now),
      /^seen +in the first full set that synapse took, at 2026-01-01T00:00:00\.000Z, 60 s ago; it has not changed since$/m,
    );
    const cached = { ...well, traces: {} };
    assert.match(
      formatInstances(cached, instancesOf(cached, id), plain, now),
      /^seen +not since synapse began: its source has not answered yet$/m,
    );
  });

  it('goes from etcd to HAProxy and ends with the verdict', () => {
    const time = '2026-01-01T00:00:00.001Z';
    const commands = [
      { command: `add server api/${id} 10.0.0.1:80 check`, reply: 'New server registered.' },
      { command: `set server api/${id} state ready`, reply: '' },
    ];
    const facts = { ...well, sent: { [id]: [{ socket: '/a.sock', time, milliseconds: 1.2, commands }] } };
    const now = Date.parse('2026-01-01T00:01:00.000Z');
    assert.equal(
      formatInstances(facts, instancesOf(facts, id), plain, now),
      `api: from what its source found
source etcd, revision 9: known to be current, last proof 0.3 s ago

api ${id}
announced  by a at 2025-12-31T23:59:59.996Z, as /nerve/services/api/${id}
           first written at revision 7, last at 9; lease beef, 8 of 10 s left
seen       added at 2026-01-01T00:00:00.000Z, 60 s ago, from etcd at revision 7
chosen     yes; nothing is filtered
sent       at ${time} to /a.sock, answered within 1.2 ms; in force 3 ms after it was seen
             add server api/${id} 10.0.0.1:80 check → New server registered.
             set server api/${id} state ready → done
HAProxy    UP for 5 s, weight 1, 10.0.0.1:80, check L7OK
✓ takes traffic; HAProxy's own check agrees (L7OK)
`,
    );
  });

  const times: readonly [
    sentence: string,
    announced: string | null,
    revision: string,
    seen: Partial<Trace>,
    end: RegExp,
  ][] = [
    [
      'how late',
      '2025-12-31T23:59:59.996Z',
      '7',
      {},
      /revision 7, 4 ms after it was announced by the announcer's clock$/m,
    ],
    ['how late, long after', '2025-12-31T23:00:00.000Z', '7', {}, /revision 7, 60 min after it was announced/],
    ['that clocks may differ a little', '2026-01-01T00:00:00.009Z', '7', {}, /revision 7, 0 ms after it was announced/],
    [
      'that clocks differ',
      '2026-01-01T00:00:02.000Z',
      '7',
      {},
      /revision 7; this host's clock is at least 2000 ms behind the announcer's$/m,
    ],
    ['nothing of a record without a time', null, '7', {}, /revision 7$/m],
    ['nothing of a record written since', '2025-12-31T23:59:59.996Z', '8', {}, /revision 7$/m],
    ['nothing of a removal', '2025-12-31T23:59:59.996Z', '7', { change: 'removed' }, /revision 7$/m],
  ];
  for (const [sentence, announced, revision, seen, end] of times) {
    it(`says ${sentence}`, () => {
      const facts: ServiceFacts = {
        ...well,
        registry: { records: [{ ...record, announced_at: announced, revision }], reason: null },
        traces: { [id]: { ...trace, ...seen } },
      };
      assert.match(formatInstances(facts, instancesOf(facts, id)), end);
    });
  }

  it('says what is not known when nobody runs, and that etcd was not asked', () => {
    const facts: ServiceFacts = {
      ...well,
      daemon: { running: false, reason: 'synapse is not running' },
      registry: { records: null, reason: 'connection refused' },
      traces: {},
    };
    const text = formatInstances(facts, instancesOf(facts, id));
    assert.match(text, /^synapse is not running; what follows was read directly, and nothing was changed$/m);
    assert.match(text, /^announced {2}not known: connection refused$/m);
    assert.match(text, /^seen {7}not known: synapse is not running$/m);
  });
});
