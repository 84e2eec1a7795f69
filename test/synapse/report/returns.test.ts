import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { Catalog } from '../../../synapse/catalog/catalog.ts';
import { formatEvent } from '../../../synapse/report/event-text.ts';
import { Events } from '../../../synapse/report/events.ts';
import { InstanceReturns } from '../../../synapse/report/returns.ts';
import type { InstanceSet } from '../../../synapse/source.ts';
import { namedInstance, plainPolicy, setOf } from '../../support/daemons/instance-sets.ts';
import { serviceConfig } from '../../support/haproxy/haproxy-output.ts';
import { recordingLog } from '../../support/process/recording-log.ts';

const one = namedInstance('server1');
const two = namedInstance('server2');
const down = namedInstance('server1', { state: 'down' });

/** A service whose source publishes these sets. */
function published(sets: readonly InstanceSet[], log = silentLog) {
  const catalog = new Catalog();
  catalog.configure(
    new Map([
      [
        'api',
        {
          policy: { ...plainPolicy, filters: [{ label: 'az', value: 'other', condition: 'not-equals' }] },
          config: serviceConfig({}),
        },
      ],
    ]),
  );
  const returns = new InstanceReturns();
  const events = new Events();
  for (const set of sets) for (const change of catalog.update('api', set)) returns.note(change, { log, events });
  const told = events.since(0).map(({ kind, level, added, removed, reason }) => {
    return [kind, level, ...(added ?? []), ...(removed ?? []), reason].join(' ');
  });
  return { catalog, returns, events, told };
}

const flaps = (times: number, away: InstanceSet, there: InstanceSet): readonly InstanceSet[] => [
  there,
  ...Array.from({ length: times }, () => [away, there]).flat(),
];
/** Two instances; a filter leaves one of them out. */
const filtered = setOf(two, namedInstance('server3', { labels: { az: 'other' } }));
const gone = `left_in_use warn ${one.id} no other instance is left`;

describe('instances that leave their registry and come back', () => {
  const cases: readonly (readonly [title: string, sets: readonly InstanceSet[], told: readonly string[]])[] = [
    ['the last instance of a service is told of when it leaves', [setOf(one), setOf()], [gone]],
    ['so it is when it says down', [setOf(one), setOf(down)], [gone]],
    ['its end is not told of again when its tombstone goes', [setOf(one), setOf(down), setOf()], [gone]],
    [
      'the last instance of a service is told of when it comes back',
      flaps(1, setOf(), setOf(one)),
      [gone, `came_back info ${one.id} left and came back 1 time`],
    ],
    ['one of several has the events of its changes, and no more', flaps(1, setOf(two), setOf(one, two)), []],
    [
      'one of several that flaps is told of the third time',
      flaps(9, setOf(two), setOf(one, two)),
      [`came_back warn ${one.id} left and came back 3 times`],
    ],
    ['one that a filter leaves out is not told of', [filtered, setOf(two), filtered], []],
    ['a new instance has not come back', [setOf(one), setOf(one, two)], []],
    ['a first answer says nothing about who has left', [setOf(one)], []],
  ];
  for (const [title, sets, told] of cases) it(title, () => assert.deepEqual(published(sets).told, told));

  it('take a few events and lines, however often that happens', () => {
    const { log, lines } = recordingLog();
    const { told } = published(flaps(1_000, setOf(), setOf(one)), log);
    // Of the 1st, 3rd, 10th, 30th, 100th, 300th and 1000th time: away, and back.
    assert.equal(told.length, 14);
    assert.equal(lines.length, 14);
    assert.equal(told.at(-1), `came_back warn ${one.id} left and came back 1000 times`);
  });

  it('are named in one event when many come back together', () => {
    const many = Array.from({ length: 50 }, (_, index) => namedInstance(`server${index}`));
    const { told, events } = published(flaps(1, setOf(), setOf(...many)));
    assert.equal(told.length, 2);
    const [, back] = events.since(0);
    assert.deepEqual(back?.added?.slice(-1), ['and 40 more']);
    assert.match(formatEvent(back as NonNullable<typeof back>), /came back: \+server0.* left and came back 1 time/);
  });

  it('are remembered with how often and since when', () => {
    const { returns } = published([...flaps(4, setOf(), setOf(one)), setOf()]);
    const known = returns.of('api').get(one.id);
    assert.equal(known?.times, 4);
    assert.equal(known?.backAt, null);
    assert.equal(returns.of('ap').size, 0);
  });
});
