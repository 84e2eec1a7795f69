import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { within } from '../../../common/async/deadline.ts';

const never = new AbortController().signal;

describe('within', () => {
  test('hands over what the task returns or throws', async () => {
    assert.equal(await within(1_000, 'it', async () => 1, never), 1);
    await assert.rejects(
      within(1_000, 'it', () => Promise.reject(new Error('broken')), never),
      /^Error: broken$/,
    );
  });

  test('ends a task that takes too long, whether it listens or not', async () => {
    let told: unknown;
    const task = (signal: AbortSignal): Promise<void> => {
      signal.addEventListener('abort', () => (told = signal.reason));
      return new Promise(() => {});
    };
    await assert.rejects(within(10, 'it', task, never), /^Error: it: no answer within 10ms$/);
    assert.match(String(told), /no answer within 10ms/);
  });

  test('ends with the signal, before and during the task', async () => {
    const end = new AbortController();
    const reason = new Error('enough');
    const running = within(60_000, 'it', () => new Promise(() => {}), end.signal);
    end.abort(reason);
    await assert.rejects(running, reason);
    let called = false;
    const task = async (): Promise<void> => {
      called = true;
    };
    await assert.rejects(within(60_000, 'it', task, end.signal), reason);
    assert.ok(!called);
  });

  test('what the task left open ends with it', async () => {
    let left: AbortSignal | undefined;
    await within(60_000, 'it', async (signal) => (left = signal), never);
    assert.ok(left?.aborted);
  });
});
