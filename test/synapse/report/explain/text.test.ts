import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plain } from '../../../../common/cli/table.ts';
import { instancesOf, type ServiceFacts } from '../../../../synapse/report/explain/facts.ts';
import { formatInstances, formatService } from '../../../../synapse/report/explain/text.ts';
import type { Trace } from '../../../../synapse/report/trace-shape.ts';
import { gone, healthy, id, instance, record, trace } from '../../../support/daemons/explain-facts.ts';

describe('the explanation of a service', () => {
  it('names a record that cannot be used by its key, with what is wrong', () => {
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
    const report = { ...healthy.report, answered_at: '2026-01-01T00:00:00.000Z' };
    const facts = { ...healthy, report, traces: {} };
    const now = Date.parse('2026-01-01T00:01:00.000Z');
    assert.match(
      formatInstances(facts, instancesOf(facts, id), plain, now),
      /^seen +in the first answer of its source, at 2026-01-01T00:00:00\.000Z, 60 s ago; it has not changed since$/m,
    );
    const cached = { ...healthy, traces: {} };
    assert.match(
      formatInstances(cached, instancesOf(cached, id), plain, now),
      /^seen +not since synapse started: its source has not answered yet$/m,
    );
  });

  it('says once how a lost instance is kept, and still names the other ones that are lost', () => {
    const one = {
      lease: 'beef',
      since: '2026-01-01T00:00:00.000Z',
      phase: 'held' as const,
      look: 'it answers',
      until: '2026-01-01T00:00:05.000Z',
      ends: 'the end of expiry_hold',
    };
    const facts = { ...healthy, report: { ...healthy.report, lost: { [id]: one, other: { ...one, lease: 'cafe' } } } };
    const text = formatInstances(facts, instancesOf(facts, id), plain, 0);
    assert.equal(text.split('lease beef lost at').length, 2, text);
    assert.match(text, /^selected .*lease beef lost at/m);
    assert.match(text, /^ {2}other: held: lease cafe lost at/m);
    assert.match(formatService(facts), /lease beef lost at.*\n.*lease cafe lost at/);
  });

  it('says what of its record is not used', () => {
    const dropped = ['weight 1000: must be a whole number from 0 to 256'];
    const facts = {
      ...healthy,
      report: { ...healthy.report, instances: [{ ...instance(), dropped }] },
      haproxy: { sockets: [], problems: {}, dropped: [{ service: 'api', name: id, reason: 'inter 25d: too long' }] },
    };
    assert.match(
      formatInstances(facts, instancesOf(facts, id)),
      /^not used +weight 1000: must be a whole number from 0 to 256\n +inter 25d: too long$/m,
    );
  });

  it('goes from etcd to HAProxy and ends with the diagnosis', () => {
    const time = '2026-01-01T00:00:00.001Z';
    const commands = [
      { command: `add server api/${id} 10.0.0.1:80 check`, reply: 'New server registered.' },
      { command: `set server api/${id} state ready`, reply: '' },
    ];
    const facts = { ...healthy, sent: { [id]: [{ socket: '/a.sock', time, milliseconds: 1.2, commands }] } };
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

  const seenWith = { instance: id, key: record.where, created: '7', revision: '9', lease: 'beef', announcer: 'a' };
  const records: readonly (readonly [title: string, facts: ServiceFacts, seen: object, line: RegExp | null])[] = [
    ['not when etcd still has it', healthy, seenWith, null],
    [
      'when it has been written again',
      healthy,
      { ...seenWith, revision: '8' },
      /first written at revision 7, last at 8; lease beef$/,
    ],
    [
      'when it has another lease',
      healthy,
      { ...seenWith, lease: null },
      /first written at revision 7, last at 9; no lease$/,
    ],
    [
      'when it is gone, and when it has no name',
      gone,
      { ...seenWith, created: '9', announcer: null },
      /^ +with the record of an unnamed announcer at \/nerve\/services\/api\/a_10\.0\.0\.1:80: written at revision 9; lease beef$/,
    ],
  ];
  for (const [title, facts, seen, line] of records) {
    it(`names the record with which the instance was seen: ${title}`, () => {
      const traces = { [id]: { ...trace, record: seen } as Trace };
      const lines = formatInstances({ ...facts, traces }, instancesOf({ ...facts, traces }, id)).split('\n');
      const found = lines.find((text) => text.includes('with the record of'));
      if (line === null) assert.equal(found, undefined);
      else assert.match(found ?? '', line);
    });
  }

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
        ...healthy,
        registry: { records: [{ ...record, announced_at: announced, revision }], reason: null },
        traces: { [id]: { ...trace, ...seen } },
      };
      assert.match(formatInstances(facts, instancesOf(facts, id)), end);
    });
  }

  it('says what is not known while synapse and etcd are down', () => {
    const facts: ServiceFacts = {
      ...healthy,
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
