import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { coalesce } from '../../../common/async/coalesce.ts';

/** A run that waits to be let go, and what it was called with. */
function controlledRun() {
  const calls: string[][] = [];
  const waiting: (() => void)[] = [];
  const run = async (dirty: ReadonlySet<string>): Promise<void> => {
    calls.push([...dirty]);
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { calls, run, release: () => waiting.shift()?.() };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('coalesce', () => {
  it('runs all changes of one callback together, in the same turn of the event loop', async () => {
    const { calls, run } = controlledRun();
    const touch = coalesce(run, new AbortController().signal);
    touch('a');
    touch('b');
    touch('a');
    await Promise.resolve();
    assert.deepEqual(calls, [['a', 'b']]);
  });

  it('merges what arrives during a run into the next one, and never runs two at a time', async () => {
    const { calls, run, release } = controlledRun();
    const touch = coalesce(run, new AbortController().signal);
    touch('a');
    await turn();
    touch('b');
    touch('c');
    await turn();
    assert.deepEqual(calls, [['a']]);
    release();
    await turn();
    assert.deepEqual(calls, [['a'], ['b', 'c']]);
    release();
    await turn();
    touch('d');
    await turn();
    assert.deepEqual(calls, [['a'], ['b', 'c'], ['d']]);
  });

  it('hands a key over again that was touched during its own run', async () => {
    const { calls, run, release } = controlledRun();
    const touch = coalesce(run, new AbortController().signal);
    touch('a');
    await turn();
    touch('a');
    release();
    await turn();
    assert.deepEqual(calls, [['a'], ['a']]);
  });

  it('starts nothing after the abort', async () => {
    const { calls, run, release } = controlledRun();
    const end = new AbortController();
    const touch = coalesce(run, end.signal);
    touch('a');
    await turn();
    touch('b');
    end.abort();
    release();
    touch('c');
    await turn();
    assert.deepEqual(calls, [['a']]);
  });
});
