import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exec } from '../../../common/daemon/exec.ts';
import { builtModule } from '../../support/repository.ts';

/** Replaces the oldest of 2,000 batches by a new one, as changes of a registry do; prints the largest heap in MB. */
const churn = `
  import { getHeapStatistics } from 'node:v8';
  const batches = [];
  let largest = 0;
  for (let round = 0; round < 20_000; round++) {
    batches.push(Array.from({ length: 50 }, (_, i) => ({ name: 'i' + round + '-' + i, port: Math.random() })));
    if (batches.length > 2_000) batches.shift();
    largest = Math.max(largest, getHeapStatistics().total_heap_size);
  }
  console.log(largest / 1024 / 1024);`;

describe('a heap that is kept small', () => {
  it('grows to much less than usual while what is held stays the same', async () => {
    const [usual, small] = await Promise.all([largestHeap(''), largestHeap('keepHeapSmall();')]);
    assert.ok(small < 0.75 * usual, `${small} MB, and ${usual} MB without it`);
  });

  it('has no limit of its own', async () => {
    const limit = `import { getHeapStatistics } from 'node:v8'; console.log(getHeapStatistics().heap_size_limit);`;
    const before = await run(limit);
    assert.equal(await run(`${load}keepHeapSmall(); ${limit}`), before);
  });
});

const load = `import { keepHeapSmall } from ${JSON.stringify(builtModule('common/daemon/heap.js'))};`;

async function largestHeap(first: string): Promise<number> {
  return Number(await run(`${load} ${first} ${churn}`));
}

async function run(script: string): Promise<string> {
  const argv = [process.execPath, '--input-type=module', '--eval', script] as const;
  const { stdout, stderr } = await exec(argv, { timeoutMs: 120_000 });
  assert.equal(stderr, '');
  return stdout;
}
