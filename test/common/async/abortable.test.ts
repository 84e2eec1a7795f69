import assert from 'node:assert/strict';
import { it } from 'node:test';
import { abortable } from '../../../common/async/deadline.ts';

it('settles as the work does', async () => {
  const { signal } = new AbortController();
  assert.equal(await abortable(Promise.resolve(1), signal), 1);
  await assert.rejects(abortable(Promise.reject(new Error('no')), signal), /no/);
});

it('rejects with the reason when the signal aborts, and drops what the work says after that', async () => {
  const controller = new AbortController();
  const { promise, reject } = deferred();
  const result = abortable(promise, controller.signal);
  controller.abort(new Error('over'));
  await assert.rejects(result, /over/);
  reject(new Error('nobody listens'));
  await new Promise(setImmediate);
});

it('rejects at once when the signal has aborted before', async () => {
  await assert.rejects(abortable(new Promise(() => {}), AbortSignal.abort(new Error('over'))), /over/);
});

function deferred(): { promise: Promise<void>; reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((_, refuse) => {
    reject = refuse;
  });
  return { promise, reject };
}
