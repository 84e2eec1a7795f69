import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createLimit } from '../../../common/async/limit.ts';
import { sleep } from '../../../common/async/supervise.ts';

it('runs no more at a time than allowed, in order, failures included', async () => {
  const limit = createLimit(3);
  let running = 0;
  let most = 0;
  const started: number[] = [];
  const tasks = Array.from({ length: 20 }, (_, index) =>
    limit(async () => {
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
