import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { Events } from '../../../synapse/report/events.ts';
import { NameEvents } from '../../../synapse/report/name-events.ts';

const failing = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `n${index}.test`, reason: 'the name server failed' }));

describe('events about host names', () => {
  it('tell the begin of an outage, its growth by doubling, and its end once', () => {
    const events = new Events();
    const names = new NameEvents(silentLog, events);
    names.note([]);
    for (let count = 1; count <= 10_000; count++) names.note(failing(count));
    for (let count = 10_000; count >= 0; count--) names.note(failing(count));
    names.note([]);
    const told = events.since(0);
    assert.deepEqual(
      told.map(({ kind }) => kind),
      [...Array<string>(14).fill('name_unresolved'), 'name_resolved'],
    );
    assert.deepEqual([told[0]?.where, told[0]?.reason], ['1 host name: n0.test', 'the name server failed']);
    assert.match(told[13]?.where ?? '', /^8192 host names: n0\.test, .*, n9\.test, and 8182 more$/);
  });
});
