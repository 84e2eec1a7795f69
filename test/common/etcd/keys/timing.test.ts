import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renewalAttemptMs, renewalWaitMs } from '../../../../common/etcd/keys/timing.ts';

describe('the renewal of a lease', () => {
  // At least twice within the TTL, so that one failed renewal does not lose the lease.
  const table: readonly [ttlSeconds: number, minMs: number, maxMs: number, attemptMs: number][] = [
    [1, 200, 250, 1_000 / 6],
    [5, 1_000, 1_250, 5_000 / 6],
    [9, 1_800, 2_250, 1_500],
    [10, 3_000, 3_667, 1_500],
    [60, 18_000, 22_000, 1_500],
  ];
  for (const [ttlSeconds, minMs, maxMs, attemptMs] of table) {
    it(`comes every ${minMs} to ${maxMs} ms at a TTL of ${ttlSeconds} s, and may take ${Math.round(attemptMs)} ms`, () => {
      for (let tries = 0; tries < 100; tries += 1) {
        const waitMs = renewalWaitMs(ttlSeconds);
        assert.ok(waitMs >= minMs - 1e-6 && waitMs <= maxMs + 1e-6, `${waitMs} ms`);
      }
      assert.equal(Math.round(renewalAttemptMs(ttlSeconds)), Math.round(attemptMs));
    });
  }
});
