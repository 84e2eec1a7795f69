import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Semaphore } from '../../../common/async/semaphore.ts';
import { sleep } from '../../../common/async/sleep.ts';

describe('a semaphore', () => {
  it('runs no more tasks at a time than it has permits, in the order of the calls, failures included', async () => {
    const semaphore = new Semaphore(3);
    let running = 0;
    let most = 0;
    const started: number[] = [];
    const tasks = Array.from({ length: 20 }, (_, index) =>
      semaphore.run(async () => {
        started.push(index);
        most = Math.max(most, ++running);
        await sleep(1);
        running -= 1;
        if (index % 5 === 0) throw new Error(`task ${index}`);
        return index;
      }),
    );
    const results = await Promise.allSettled(tasks);
    assert.equal(most, 3);
    assert.deepEqual(
      started,
      [...started].sort((a, b) => a - b),
    );
    assert.equal(results.filter((result) => result.status === 'rejected').length, 4);
  });
});
