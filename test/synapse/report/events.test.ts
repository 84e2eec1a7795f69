import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { makeInstance } from '../../../common/instance.ts';
import type { DiscoveryStatus } from '../../../synapse/discovery/discoverer.ts';
import { recordApplied } from '../../../synapse/report/applied-events.ts';
import { eventTitles, type SynapseEvent } from '../../../synapse/report/event-shape.ts';
import { formatEvent } from '../../../synapse/report/event-text.ts';
import { Events } from '../../../synapse/report/events.ts';
import { watchFreshness } from '../../../synapse/report/source-freshness.ts';
import { Traces } from '../../../synapse/report/traces.ts';
import { serviceConfig } from '../../support/haproxy/haproxy-output.ts';
import { until } from '../../support/until.ts';

/** What was written down, without numbers and times. */
function written(events: Events): readonly Partial<SynapseEvent>[] {
  return events.since(0).map(({ seq: _, time: __, milliseconds: ___, ...rest }) => rest);
}

const [one, two, three] = [1, 2, 3].map((n) => makeInstance({ host: `10.0.0.${n}`, port: 80 }));
assert.ok(one && two && three);
const config = serviceConfig({});
const state = (instances: readonly (typeof one)[]) => ({ name: 'api', config, instances, seenAt: 0 });

describe('what is written down of a change', () => {
  it('says what changed, from where, and what it cost', () => {
    const events = new Events();
    const drained = makeInstance({ host: '10.0.0.1', port: 80, state: 'drain' });
    const heavier = makeInstance({ host: '10.0.0.2', port: 80, weight: 7 });
    const before = new Map([['api', state([one, two])]]);
    const after = new Map([['api', state([drained, heavier, three])]]);
    const origin = () => ({ source: 'etcd', revision: '42' });
    const services = [{ service: 'api', commands: 3, failed: 0, milliseconds: 2 }];
    recordApplied(
      { before, after, changed: ['api'], services, departures: new Map() },
      { log: silentLog, events, traces: new Traces(), origin },
    );
    assert.deepEqual(written(events), [
      {
        kind: 'instances',
        level: 'info',
        service: 'api',
        instances: 3,
        added: [three.id],
        drained: [one.id],
        changed: [two.id],
        source: 'etcd',
        revision: '42',
        commands: 3,
        failed: 0,
      },
    ]);
  });

  it('tells of services that are gone', () => {
    const events = new Events();
    const before = new Map([['api', state([one])]]);
    const applied = { before, after: new Map(), changed: ['api'], services: [], departures: new Map() };
    recordApplied(applied, { log: silentLog, events, traces: new Traces(), origin: () => ({}) });
    assert.deepEqual(written(events), [{ kind: 'service_removed', level: 'info', service: 'api' }]);
  });
});

describe('what is written down of sources', () => {
  it('is one event for an outage, one for its end, and one for each switch', async () => {
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

describe('an event as a line', () => {
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
  ];
  for (const [event, line] of cases) {
    it(`shows ${event.kind}`, () => {
      assert.equal(formatEvent({ seq: 1, time: '2026-01-02T03:04:05.678Z', ...event }), line);
    });
  }
});

describe('synapse/events.md', () => {
  it('the page about events documents every kind of event, and no other', async () => {
    const read = (name: string) => readFile(new URL(`../../../../synapse/${name}`, import.meta.url), 'utf8');
    const [, kinds = ''] = (await read('events.md')).split('| kind | what happened |');
    const documented = [...kinds.matchAll(/^\| `([a-z]+(?:_[a-z]+)*)` \|/gm)].map(([, kind]) => kind);
    assert.deepEqual(documented.sort(), Object.keys(eventTitles).sort());
  });
});
