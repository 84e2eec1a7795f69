import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RunningServer } from '../../../../synapse/haproxy/spec/types.ts';
import { countRunning, countStatistics, worstCounts } from '../../../../synapse/haproxy/statistics/server-counts.ts';
import type { ServerStatistics } from '../../../../synapse/haproxy/statistics/server-shape.ts';
import { serverReport } from '../../../support/daemons/server-report.ts';

const running: RunningServer = {
  ...{ name: 'one', id: 1, address: '10.0.0.1:80', maintenance: false, drained: false, failing: false },
  ...{ withheld: false, checked: true, weight: 1, ourWeight: 1, maxconn: null, ours: false, fixedWords: '' },
};
const none = { up: 0, unchecked: 0, down: 0, out: 0 };

/** One server as it was read back, and the same in the statistics. */
const cases: readonly [
  title: string,
  read: Partial<RunningServer>,
  shown: Partial<ServerStatistics>,
  counts: Partial<typeof none>,
][] = [
  ['passes its check', {}, { status: 'UP' }, { up: 1 }],
  ['is about to fail its check', {}, { status: 'UP 1/3' }, { up: 1 }],
  ['is not checked', { checked: false }, { status: 'no check' }, { unchecked: 1 }],
  ['fails its check', { failing: true }, { status: 'DOWN' }, { down: 1 }],
  ['is about to pass its check', { failing: true }, { status: 'DOWN 1/2' }, { down: 1 }],
  ['is drained', { drained: true }, { status: 'DRAIN', weight: 0 }, { out: 1 }],
  ['has weight 0', { weight: 0 }, { status: 'UP', weight: 0 }, { out: 1 }],
  ['is drained by its check', { withheld: true }, { status: 'NOLB' }, { out: 1 }],
  ['is in maintenance by hand', { maintenance: true }, { status: 'MAINT' }, { out: 1 }],
  ['is closed by synapse', { maintenance: true, ours: true }, { status: 'MAINT', name: 'gone' }, {}],
];

describe('the servers of a service by whether they take traffic', () => {
  for (const [title, read, shown, counts] of cases) {
    it(`count one that ${title}, as it was read back and in the statistics`, () => {
      const expected = { ...none, ...counts };
      assert.deepEqual(countRunning([{ ...running, ...read }]), expected);
      const isUsed = (name: string): boolean => name === 'one';
      assert.deepEqual(countStatistics([serverReport('one', shown)], isUsed), expected);
    });
  }

  it('are those of the process where the fewest take traffic, among those that answer', () => {
    const process = (inSync: boolean, ...servers: readonly Partial<RunningServer>[]) => ({
      inSync,
      running: new Map([['api', new Map(servers.map((one, index) => [String(index), { ...running, ...one }]))]]),
    });
    const well = process(true, {}, {});
    const ill = process(true, {}, { failing: true });
    assert.deepEqual(worstCounts([well, ill, process(false)], 'api'), { ...none, up: 1, down: 1 });
    assert.equal(worstCounts([process(false, {})], 'api'), undefined);
    assert.equal(worstCounts([well], 'web'), undefined);
  });
});
