import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { aborted } from '../../../common/async/abort.ts';
import { timeoutSignal, withTimeout } from '../../../common/async/timeout.ts';

const never = new AbortController().signal;

describe('withTimeout', () => {
  it('settles as the task does', async () => {
    assert.equal(await withTimeout(async () => 1, { timeoutMs: 1_000, what: 'it' }, never), 1);
    await assert.rejects(
      withTimeout(() => Promise.reject(new Error('broken')), { timeoutMs: 1_000, what: 'it' }, never),
      /^Error: broken$/,
    );
  });

  it('rejects when the time is up, also when the task ignores its signal', async () => {
    let told: unknown;
    const task = (signal: AbortSignal): Promise<void> => {
      signal.addEventListener('abort', () => (told = signal.reason));
      return new Promise(() => {});
    };
    await assert.rejects(
      withTimeout(task, { timeoutMs: 10, what: 'it' }, never),
      /^TimeoutError: it: no answer within 10ms$/,
    );
    assert.match(String(told), /no answer within 10ms/);
  });

  it('rejects with the reason of its signal, before and during the task', async () => {
    const end = new AbortController();
    const reason = new Error('enough');
    const running = withTimeout(() => new Promise(() => {}), { timeoutMs: 60_000, what: 'it' }, end.signal);
    end.abort(reason);
    await assert.rejects(running, reason);
    let called = false;
    const task = async (): Promise<void> => {
      called = true;
    };
    await assert.rejects(withTimeout(task, { timeoutMs: 60_000, what: 'it' }, end.signal), reason);
    assert.ok(!called);
  });

  it("aborts the task's signal when the task is over", async () => {
    let left: AbortSignal | undefined;
    await withTimeout(async (signal) => (left = signal), { timeoutMs: 60_000, what: 'it' }, never);
    assert.ok(left?.aborted);
  });

  it('leaves no listener on the signal of its caller', async () => {
    const { signal } = new AbortController();
    await withTimeout(async () => {}, { timeoutMs: 60_000, what: 'it' }, signal);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });
});

describe('timeoutSignal', () => {
  it('aborts with a TimeoutError', async () => {
    const signal = timeoutSignal(1);
    const keepAlive = setInterval(() => {}, 1_000);
    await aborted(signal);
    clearInterval(keepAlive);
    assert.equal((signal.reason as Error).name, 'TimeoutError');
  });
});
