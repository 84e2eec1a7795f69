import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Mutex } from '../../../common/async/mutex.ts';

describe('a mutex', () => {
  it('runs tasks one after the other in the order of the calls, also after one that fails', async () => {
    const mutex = new Mutex();
    const seen: string[] = [];
    const task = (name: string, fails = false) =>
      mutex.run(async () => {
        seen.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        seen.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      });
    const results = await Promise.allSettled([task('one'), task('two', true), task('three')]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(seen, ['one begins', 'one ends', 'two begins', 'two ends', 'three begins', 'three ends']);
  });
});
