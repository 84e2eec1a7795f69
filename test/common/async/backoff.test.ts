import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jittered } from '../../../common/async/backoff.ts';

describe('jittered', () => {
  it('stays between 0 and the bound of the attempt, and never exceeds the largest bound', () => {
    for (let attempt = 0; attempt < 2000; attempt++) {
      const wait = jittered({ baseMs: 100, maxMs: 10_000 }, attempt);
      assert.ok(wait >= 0 && wait <= Math.min(10_000, 100 * 2 ** attempt), `${attempt}: ${wait}`);
    }
  });
});
