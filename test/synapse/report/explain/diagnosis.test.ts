import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plain } from '../../../../common/cli/table.ts';
import { type InstanceFields, makeInstance } from '../../../../common/instance.ts';
import { diagnose } from '../../../../synapse/report/explain/diagnosis.ts';
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

describe('the diagnosis of an instance', () => {
  const cases: readonly [title: string, facts: ServiceFacts, level: string, text: string | RegExp][] = [
    ['a healthy instance takes traffic', well, 'good', "takes traffic; HAProxy's own check agrees (L7OK)"],
    [
      'an instance without HAProxy checks takes traffic',
      seeing({ status: 'no check', check: '' }),
      'good',
      'takes traffic; HAProxy does not check it',
    ],
    ['a backup stands by', seeing({}, { backup: true }), 'good', /^stands by as a backup/],
    ['an instance of weight 0 gets no traffic', seeing({ weight: 0 }), 'warn', 'gets no traffic: its weight is 0'],
    [
      'an instance whose HAProxy check fails for the first time is about to go down',
      seeing({ status: 'UP 1/2', check: 'L4CON' }),
      'warn',
      "takes traffic; HAProxy's own check is about to fail (UP 1/2, L4CON)",
    ],
    [
      'an instance whose HAProxy check fails gets no traffic',
      seeing({ status: 'DOWN', check: 'L4CON', detail: 'Connection refused' }),
      'bad',
      "in HAProxy, but gets no traffic: HAProxy's own check fails (L4CON Connection refused)",
    ],
    [
      'a draining instance gets no new connections',
      seeing({ status: 'DRAIN' }, { state: 'drain' }),
      'warn',
      'drains: it finishes its connections and gets no new ones',
    ],
    [
      'a drain that HAProxy does not know is bad',
      seeing({}, { state: 'drain' }),
      'bad',
      'should drain, but HAProxy still gives it new connections',
    ],
    [
      'an instance in maintenance should take traffic',
      seeing({ status: 'MAINT' }),
      'bad',
      'in maintenance in HAProxy, but it should take traffic',
    ],
    [
      'an instance that was set to maintenance by hand is left so',
      {
        ...seeing({ status: 'MAINT' }),
        haproxy: haproxy({ held: [{ service: 'api', backend: 'api', name: id, held: 'maintenance' }] }),
      },
      'warn',
      'in maintenance: set in HAProxy by hand; synapse leaves it so',
    ],
    [
      'a suspect takes traffic until it is given up',
      { ...well, report: { ...well.report, suspects: { [id]: '2026-01-01T00:05:00.000Z' } } },
      'warn',
      /^takes traffic as a suspect, .*agrees \(L7OK\); kept until 2026-01-01T00:05/,
    ],
    [
      'a HAProxy that does not answer is named',
      { ...well, seen: { servers: null, reason: 'connection refused' } },
      'bad',
      'not known, because HAProxy does not answer: connection refused',
    ],
    [
      'an instance of a new service waits for a reload',
      { ...missing, haproxy: haproxy({ pendingReload: ['service api is new'] }) },
      'warn',
      'not in HAProxy yet: it waits for a reload: service api is new',
    ],
    [
      'an instance of a quarantined service is not in HAProxy',
      { ...missing, haproxy: haproxy({ problems: { api: 'unknown keyword' } }) },
      'bad',
      'not in HAProxy, which cannot take the configuration of api: unknown keyword',
    ],
    [
      'an instance is not in a HAProxy that refuses the configuration',
      { ...missing, haproxy: haproxy({ rejected: 'bad keyword' }) },
      'bad',
      'not in HAProxy, which refuses the new configuration: bad keyword',
    ],
    ['an instance that HAProxy lacks for no known reason is bad', missing, 'bad', 'not in HAProxy, but it should be'],
    [
      'an instance is missing while synapse does not run',
      { ...missing, daemon: { running: false, reason: 'synapse is not running' } },
      'bad',
      'not in HAProxy, and synapse does not run to add it',
    ],
    [
      'an instance that a rule leaves out is not in HAProxy',
      { ...gone, report: { ...gone.report, left_out: [{ id, reason: 'it is not the leader' }] } },
      'warn',
      'not in HAProxy: it is not the leader',
    ],
    [
      'an announced instance is missing while the source is out of date',
      { ...gone, registry: well.registry, report: { ...gone.report, reason: 'no leader' } },
      'bad',
      'not in HAProxy: it is announced, but synapse may be out of date: no leader',
    ],
    [
      'an announced instance is not used while a fallback is in use',
      {
        ...gone,
        registry: well.registry,
        report: {
          ...gone.report,
          sources: [{ name: 'fallback', method: 'static', role: 'used', instances: 1, reason: null }],
        },
      },
      'warn',
      'not in HAProxy: the service gets its instances from fallback (static) now',
    ],
    [
      'an instance that was announced a moment ago is on its way',
      { ...gone, registry: well.registry },
      'warn',
      'not in HAProxy yet: it is announced, but synapse has not taken it over',
    ],
    [
      'a withdrawn instance is gone',
      { ...gone, traces: { [id]: { ...trace, change: 'removed', how: 'withdrawn' } } },
      'warn',
      'gone: its nerve withdrew it',
    ],
    [
      'an instance whose lease expired is gone',
      { ...gone, traces: { [id]: { ...trace, change: 'removed', how: 'expired' } } },
      'bad',
      'gone: its lease expired, so its nerve or its host died, or lost its connection to etcd',
    ],
    [
      'a server that no source has should not be in HAProxy',
      { ...gone, seen: well.seen },
      'bad',
      'in HAProxy (UP), but no source of the service has it',
    ],
    [
      'a server stays in HAProxy while nothing is known of its service',
      { ...gone, report: { ...gone.report, instances: null, reason: 'no answer' }, seen: well.seen },
      'warn',
      'in HAProxy (UP), and kept there until the source answers',
    ],
    [
      'it is not known whether an instance is announced while etcd is down',
      { ...gone, registry: { records: null, reason: 'no route to host' }, traces: { [id]: trace } },
      'bad',
      'not in use; whether it is announced is not known: no route to host',
    ],
    ['an instance that has no record is not announced', { ...gone, traces: { [id]: trace } }, 'bad', 'not announced'],
    [
      'a server of a former instance is out of service',
      { ...gone, seen: { servers: [server({ status: 'MAINT' })], reason: null } },
      'warn',
      /as it should be/,
    ],
  ];
  for (const [title, facts, level, text] of cases) {
    it(title, () => {
      const [one] = instancesOf(facts, id);
      assert.ok(one !== undefined);
      const diagnosis = diagnose(facts, one);
      assert.equal(diagnosis.level, level);
      if (typeof text === 'string') assert.equal(diagnosis.text, text);
      else assert.match(diagnosis.text, text);
    });
  }

  it('a record that cannot be used is named by its key, with what is wrong', () => {
    const where = '/nerve/services/api/bad';
    const facts = { ...gone, report: { ...gone.report, rejected: [{ where, reason: 'not JSON: "x"' }] } };
    assert.match(
      formatService(facts),
      /api\/bad {2}no {4}✗ not in HAProxy: its record cannot be used: not JSON: "x"$/m,
    );
    assert.equal(instancesOf(facts, 'bad').length, 1);
  });
});

describe('the explanation of one instance', () => {
  it('says when the first answer of the source brought an instance that has not changed since', () => {
    const report = { ...well.report, answered_at: '2026-01-01T00:00:00.000Z' };
    const facts = { ...well, report, traces: {} };
    const now = Date.parse('2026-01-01T00:01:00.000Z');
    assert.match(
      formatInstances(facts, instancesOf(facts, id), plain, now),
      /^seen +in the first answer of its source, at 2026-01-01T00:00:00\.000Z, 60 s ago; it has not changed since$/m,
    );
    const cached = { ...well, traces: {} };
    assert.match(
      formatInstances(cached, instancesOf(cached, id), plain, now),
      /^seen +not since synapse started: its source has not answered yet$/m,
    );
  });

  it('goes from etcd to HAProxy and ends with the diagnosis', () => {
    const time = '2026-01-01T00:00:00.001Z';
    const commands = [
      { command: `add server api/${id} 10.0.0.1:80 check`, reply: 'New server registered.' },
      { command: `set server api/${id} state ready`, reply: '' },
    ];
    const facts = { ...well, sent: { [id]: [{ socket: '/a.sock', time, milliseconds: 1.2, commands }] } };
    const now = Date.parse('2026-01-01T00:01:00.000Z');
    assert.equal(
      formatInstances(facts, instancesOf(facts, id), plain, now),
      `api: instances from etcd revision 9, checked 0 s ago

api ${id}
announced  by a at 2025-12-31T23:59:59.996Z, as /nerve/services/api/${id}
           first written at revision 7, last at 9; lease beef, 8 of 10 s left
seen       added at 2026-01-01T00:00:00.000Z, 60 s ago, from etcd at revision 7
selected   yes; no rule filters instances
sent       at ${time} to /a.sock, answered within 1.2 ms; in force 3 ms after it was seen
             add server api/${id} 10.0.0.1:80 check → New server registered.
             set server api/${id} state ready → done
HAProxy    UP for 5 s, weight 1, 10.0.0.1:80, check L7OK
✓ takes traffic; HAProxy's own check agrees (L7OK)
`,
    );
  });

  const times: readonly [
    title: string,
    announced: string | null,
    revision: string,
    seen: Partial<Trace>,
    end: RegExp,
  ][] = [
    [
      'says how long after the announcement synapse saw the change',
      '2025-12-31T23:59:59.996Z',
      '7',
      {},
      /revision 7, 4 ms after it was announced by the announcer's clock$/m,
    ],
    ['gives a long delay in minutes', '2025-12-31T23:00:00.000Z', '7', {}, /revision 7, 60 min after it was announced/],
    [
      'takes a small difference of two clocks for no delay',
      '2026-01-01T00:00:00.009Z',
      '7',
      {},
      /revision 7, 0 ms after it was announced/,
    ],
    [
      'says that the clocks of two hosts differ',
      '2026-01-01T00:00:02.000Z',
      '7',
      {},
      /revision 7; this host's clock is at least 2000 ms behind the announcer's$/m,
    ],
    ['gives no delay for a record without a time', null, '7', {}, /revision 7$/m],
    ['gives no delay for a record that was written again since', '2025-12-31T23:59:59.996Z', '8', {}, /revision 7$/m],
    ['gives no delay for a removal', '2025-12-31T23:59:59.996Z', '7', { change: 'removed' }, /revision 7$/m],
  ];
  for (const [title, announced, revision, seen, end] of times) {
    it(title, () => {
      const facts: ServiceFacts = {
        ...well,
        registry: { records: [{ ...record, announced_at: announced, revision }], reason: null },
        traces: { [id]: { ...trace, ...seen } },
      };
      assert.match(formatInstances(facts, instancesOf(facts, id)), end);
    });
  }

  it('says what is not known while synapse and etcd are down', () => {
    const facts: ServiceFacts = {
      ...well,
      daemon: { running: false, reason: 'synapse is not running' },
      registry: { records: null, reason: 'connection refused' },
      traces: {},
    };
    const text = formatInstances(facts, instancesOf(facts, id));
    assert.match(text, /^synapse is not running; what follows was read without it, and nothing was changed$/m);
    assert.match(text, /^announced {2}not known: connection refused$/m);
    assert.match(text, /^seen {7}not known: synapse is not running$/m);
  });
});
