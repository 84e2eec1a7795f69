import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { makeInstance } from '../../../common/instance.ts';
import { withPort } from '../../../synapse/catalog/port-override.ts';
import type { DiscoveryStatus } from '../../../synapse/discovery/discoverer.ts';
import type { HaproxyEvent } from '../../../synapse/haproxy/events.ts';
import { type ReportDeps, recordApplied } from '../../../synapse/report/applied-events.ts';
import { eventTitles, type SynapseEvent } from '../../../synapse/report/event-shape.ts';
import { formatEvent } from '../../../synapse/report/event-text.ts';
import { Events } from '../../../synapse/report/events.ts';
import { recordHaproxy } from '../../../synapse/report/haproxy-events.ts';
import { recordsOf } from '../../../synapse/report/records.ts';
import { watchFreshness } from '../../../synapse/report/source-freshness.ts';
import { Traces } from '../../../synapse/report/traces.ts';
import { serviceConfig } from '../../support/haproxy/haproxy-output.ts';
import { root } from '../../support/repository.ts';
import { until } from '../../support/until.ts';

/** The recorded events, without numbers and times. */
function written(events: Events): readonly Partial<SynapseEvent>[] {
  return events.since(0).map(({ seq: _, time: __, milliseconds: ___, ...rest }) => rest);
}

const [one, two, three] = [1, 2, 3].map((n) => makeInstance({ host: `10.0.0.${n}`, port: 80 }));
assert.ok(one && two && three);
const config = serviceConfig({});
const state = (instances: readonly (typeof one)[]) => ({ name: 'api', config, instances, seenAt: 0 });

describe('the events of an applied snapshot', () => {
  it('say what changed, where the change came from, and how many commands it took', () => {
    const events = new Events();
    const drained = makeInstance({ host: '10.0.0.1', port: 80, state: 'drain' });
    const heavier = makeInstance({ host: '10.0.0.2', port: 80, weight: 7 });
    const four = makeInstance({ host: '10.0.0.4', port: 80, name: 'i-4' });
    const before = new Map([['api', state([one, two, four])]]);
    const after = new Map([['api', state([drained, heavier, three])]]);
    const origin = () => ({ source: 'etcd', revision: '42' });
    const services = [{ service: 'api', commands: 3, failed: 0, milliseconds: 2 }];
    const originOf = (key: string) => ({ key: `/s/${key}`, lease: '255', created: 3, modRevision: '5' });
    const set = {
      ...{ rejected: [], seenAt: 0, instances: [drained, heavier, three] },
      origins: [originOf('1'), undefined, originOf('3')],
    };
    const records: ReportDeps['records'] = (_, wanted) => recordsOf(set, undefined, wanted);
    const gone = new Map([[four.id, { how: 'withdrawn', origin: originOf('4') } as const]]);
    const traces = new Traces();
    recordApplied(
      { before, after, changed: ['api'], services, departures: new Map([['api', gone]]) },
      { log: silentLog, events, traces, origin, records },
    );
    const recordAt = (instance: string, key: string, announcer: string | null) => {
      return { instance, key: `/s/${key}`, lease: 'ff', created: '3', revision: '5', announcer };
    };
    assert.deepEqual(written(events), [
      {
        kind: 'instances',
        level: 'info',
        service: 'api',
        instances: 3,
        added: [three.id],
        drained: [one.id],
        changed: [two.id],
        removed: [four.id],
        records: [recordAt(one.id, '1', null), recordAt(three.id, '3', null), recordAt(four.id, '4', 'i-4')],
        source: 'etcd',
        revision: '42',
        commands: 3,
        failed: 0,
      },
    ]);
    const { how, record } = traces.of('api')[four.id] ?? {};
    assert.deepEqual([how, record], ['withdrawn', recordAt(four.id, '4', 'i-4')]);
    assert.equal(traces.of('api')[two.id]?.record, undefined);
  });

  it('name the records of at most ten instances, by the ids behind a port override', () => {
    const many = Array.from({ length: 12 }, (_, n) => makeInstance({ host: `10.0.1.${n}`, port: 80 }));
    const origins = many.map((_, n) => ({ key: `/s/${n}`, lease: '0', created: n, modRevision: `${n}` }));
    const set = { instances: many, origins, rejected: [], seenAt: 0 };
    const used = many.map((instance) => withPort(instance, 81));
    const events = new Events();
    recordApplied(
      {
        ...{ before: new Map([['api', state([])]]), after: new Map([['api', state(used)]]) },
        ...{ changed: ['api'], services: [], departures: new Map() },
      },
      {
        ...{ log: silentLog, events, traces: new Traces(), origin: () => ({}) },
        records: (_, wanted) => recordsOf(set, 81, wanted),
      },
    );
    const [event] = written(events);
    assert.equal(event?.records?.length, 10);
    const first = { instance: '10.0.1.0:81', key: '/s/0', lease: null, created: '0', revision: '0', announcer: null };
    assert.deepEqual(event?.records?.[0], first);
  });

  it('say that a service was removed', () => {
    const events = new Events();
    const before = new Map([['api', state([one])]]);
    const applied = { before, after: new Map(), changed: ['api'], services: [], departures: new Map() };
    recordApplied(applied, {
      log: silentLog,
      events,
      traces: new Traces(),
      origin: () => ({}),
      records: () => new Map(),
    });
    assert.deepEqual(written(events), [{ kind: 'service_removed', level: 'info', service: 'api' }]);
  });
});

describe('the events of sources', () => {
  it('are one for an outage, one for its end, and one for each switch', async () => {
    const events = new Events();
    const end = new AbortController();
    const statuses = new Map<string, DiscoveryStatus>();
    const say = (reason: string | null, used: string): void => {
      for (const service of ['api', 'web']) statuses.set(service, { method: 'etcd', reason, age: null });
      const part = { method: 'static', instances: 1, reason: null };
      const role = (name: string) => (name === used ? 'used' : 'asked');
      const parts = ['main', 'fallback'].map((name) => ({ ...part, name, role: role(name) }) as const);
      statuses.set('job', { method: 'multi', reason: null, age: null, parts });
    };
    say(null, 'main');
    const done = watchFreshness(() => statuses, events, end.signal);
    say('etcd is away', 'main');
    await until(() => events.last >= 1);
    say(null, 'fallback');
    await until(() => events.last >= 3);
    end.abort();
    await done;
    assert.deepEqual(written(events), [
      { kind: 'source_stale', level: 'warn', services: ['api', 'web'], source: 'etcd', reason: 'etcd is away' },
      { kind: 'source_switched', level: 'warn', service: 'job', source: 'fallback', reason: 'before: main' },
      { kind: 'source_fresh', level: 'info', services: ['api', 'web'], source: 'etcd' },
    ]);
  });
});

describe('the events of HAProxy', () => {
  const reasons = ['service x is new'];
  const cases: [event: HaproxyEvent, recorded: SynapseEvent][] = [
    [
      { type: 'synced', socket: '/a.sock', pid: 7, commands: 3 },
      { kind: 'haproxy_connected', level: 'info', socket: '/a.sock', pid: 7, commands: 3 },
    ],
    [
      { type: 'lost', socket: '/a.sock', reason: 'connection refused' },
      { kind: 'haproxy_lost', level: 'error', socket: '/a.sock', reason: 'connection refused' },
    ],
    [
      { type: 'written', bytes: 9 },
      { kind: 'file_written', level: 'info', bytes: 9 },
    ],
    [
      { type: 'rejected', services: ['x'], reason: 'bad keyword' },
      { kind: 'haproxy_refused', level: 'error', service: 'x', reason: 'bad keyword' },
    ],
    [
      { type: 'rejected', services: [], reason: 'bad global' },
      { kind: 'haproxy_refused', level: 'error', reason: 'bad global' },
    ],
    [
      { type: 'reloading', reasons },
      { kind: 'reload_begun', level: 'info', reasons },
    ],
    [
      { type: 'reload-failed', reasons, reason: 'no answer' },
      { kind: 'reload_failed', level: 'error', reasons, reason: 'no answer' },
    ],
  ];
  for (const [event, recorded] of cases) {
    it(`record ${recorded.kind}${recorded.service === undefined ? '' : ' of a service'}`, () => {
      const events = new Events();
      recordHaproxy(events)(event);
      assert.deepEqual(written(events), [recorded]);
    });
  }
});

describe('the line of an event', () => {
  const cases: [event: SynapseEvent, line: string][] = [
    [
      {
        kind: 'instances',
        level: 'info',
        service: 'api',
        added: ['a'],
        removed: ['b'],
        commands: 2,
        milliseconds: 3.1,
      },
      '2026-01-02 03:04:05.678Z     api               instances: +a -b  (2 commands, 3.1 ms)\n',
    ],
    [
      { kind: 'source_stale', level: 'warn', services: ['a', 'b'], source: 'etcd', reason: 'no answer' },
      '2026-01-02 03:04:05.678Z  !  a, b              source out of date  no answer, from etcd\n',
    ],
    [
      { kind: 'reload_failed', level: 'error', reasons: ['service x is new'], reason: 'it did not load' },
      '2026-01-02 03:04:05.678Z  ✗  -                 reload failed  it did not load, service x is new\n',
    ],
    [
      { kind: 'source_switched', level: 'warn', service: 'job', source: 'fallback', reason: 'before: main' },
      '2026-01-02 03:04:05.678Z  !  job               source switched to fallback  before: main\n',
    ],
  ];
  for (const [event, line] of cases) {
    it(`shows ${event.kind} with its cause and cost`, () => {
      assert.equal(formatEvent({ seq: 1, time: '2026-01-02T03:04:05.678Z', ...event }), line);
    });
  }
});

describe('synapse/events.md', () => {
  it('the page about events documents every kind of event, and no other', async () => {
    const read = (name: string) => readFile(join(root, `synapse/${name}`), 'utf8');
    const [, kinds = ''] = (await read('events.md')).split('| kind | what happened |');
    const documented = [...kinds.matchAll(/^\| `([a-z]+(?:_[a-z]+)*)` \|/gm)].map(([, kind]) => kind);
    assert.deepEqual(documented.sort(), Object.keys(eventTitles).sort());
  });
});
