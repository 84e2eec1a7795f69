import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pauseMs, restAfterMs } from '../../../synapse/fleet/pace.ts';

describe('how often HAProxy is read for a request', () => {
  const cases: readonly (readonly [what: string, waitedMs: number, tookMs: number, pause: number])[] = [
    ['reads at once again while the request is young', 20, 1, 4],
    ['waits for 2 % of the time that the request has waited', 2_000, 1, 40],
    ['waits 80 ms at most for a request of some seconds', 30_000, 1, 80],
    ['reads a young request for a third of the time at most', 20, 30, 60],
    ['reads an older request for a tenth of the time at most', 6_000, 20, 180],
    ['waits 250 ms at most because reading takes long', 20, 10_000, 250],
    ['reads twice a second after a minute', 61_000, 1, 500],
  ];
  for (const [what, waitedMs, tookMs, pause] of cases) {
    it(what, () => assert.equal(pauseMs({ waitedMs, tookMs }), pause));
  }

  it('rests for half of the time that reading took, 80 ms at most', () => {
    assert.deepEqual([restAfterMs(0), restAfterMs(10), restAfterMs(1_000)], [0, 5, 80]);
  });
});
