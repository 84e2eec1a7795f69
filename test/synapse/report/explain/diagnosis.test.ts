import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { InstanceFields } from '../../../../common/instance.ts';
import type { ServerStatistics } from '../../../../synapse/haproxy/statistics/server-shape.ts';
import type { HaproxyReport } from '../../../../synapse/haproxy/status-shape.ts';
import { diagnose } from '../../../../synapse/report/explain/diagnosis.ts';
import { instancesOf, type ServiceFacts } from '../../../../synapse/report/explain/facts.ts';
import { gone, healthy, id, instance, server, trace } from '../../../support/daemons/explain-facts.ts';

const haproxy = (more: Partial<HaproxyReport>): HaproxyReport => ({ sockets: [], problems: {}, ...more });
const socket = { path: '/run/h.sock', connected: true, version: '3.2', workerPid: 7, generation: 'g', lastError: null };
const missing: ServiceFacts = { ...healthy, seen: { servers: [], reason: null } };

/** The service with this server in HAProxy, for this instance. */
const seeing = (more: Partial<ServerStatistics>, own: Partial<InstanceFields> = {}): ServiceFacts => ({
  ...healthy,
  report: { ...healthy.report, instances: [instance(own)] },
  seen: { servers: [server(more)], reason: null },
});

describe('the diagnosis of an instance', () => {
  const cases: readonly [title: string, facts: ServiceFacts, level: string, text: string | RegExp][] = [
    ['a healthy instance takes traffic', healthy, 'good', "takes traffic; HAProxy's own check agrees (L7OK)"],
    [
      'an instance without HAProxy checks takes traffic',
      seeing({ status: 'no check', check: '' }),
      'good',
      'takes traffic; HAProxy does not check it',
    ],
    ['a backup stands by', seeing({}, { backup: true }), 'good', /^stands by as a backup/],
    [
      'an instance of weight 0 gets no traffic',
      seeing({ weight: 0 }),
      'warn',
      'gets no traffic: its weight in HAProxy is 0',
    ],
    [
      'an instance whose record has weight 0 gets no traffic',
      seeing({ weight: 0, status: 'DRAIN' }, { weight: 0 }),
      'warn',
      'gets no traffic: its weight is 0, as its record says',
    ],
    [
      'an instance whose weight was set to 0 by hand is shown as what it is, with the command that ends it',
      {
        ...seeing({ weight: 0, status: 'DRAIN' }),
        haproxy: haproxy({
          sockets: [socket],
          held: [
            {
              service: 'api',
              backend: 'api',
              name: id,
              held: 'weight',
              weight: 0,
              undo: `set server api/${id} weight 7`,
            },
          ],
        }),
      },
      'warn',
      `gets no new traffic: its weight was set to 0 in HAProxy by hand; synapse leaves it so; end it with: echo 'set server api/${id} weight 7' | socat stdio /run/h.sock`,
    ],
    [
      'an instance whose weight was set by hand takes traffic with it',
      {
        ...seeing({ weight: 3 }),
        haproxy: haproxy({
          held: [{ service: 'api', backend: 'api', name: id, held: 'weight', weight: 3, undo: 'x' }],
        }),
      },
      'warn',
      /^takes traffic with weight 3, set in HAProxy by hand; synapse leaves it so; HAProxy's own check agrees/,
    ],
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
      { ...healthy, report: { ...healthy.report, suspects: { [id]: '2026-01-01T00:05:00.000Z' } } },
      'warn',
      /^takes traffic as a suspect, .*agrees \(L7OK\); kept until 2026-01-01T00:05/,
    ],
    [
      'a HAProxy that does not answer is named',
      { ...healthy, seen: { servers: null, reason: 'connection refused' } },
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
      { ...gone, registry: healthy.registry, report: { ...gone.report, reason: 'no leader' } },
      'bad',
      'not in HAProxy: it is announced, but synapse may be out of date: no leader',
    ],
    [
      'an announced instance is not used while a fallback is in use',
      {
        ...gone,
        registry: healthy.registry,
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
      { ...gone, registry: healthy.registry },
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
      { ...gone, seen: healthy.seen },
      'bad',
      'in HAProxy (UP), but no source of the service has it',
    ],
    [
      'a server stays in HAProxy while nothing is known of its service',
      { ...gone, report: { ...gone.report, instances: null, reason: 'no answer' }, seen: healthy.seen },
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
});
