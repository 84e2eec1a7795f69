import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { abortable, aborted, linkAbort, onAbort } from '../../../common/async/abort.ts';

describe('abort signals', () => {
  it('call a listener once, with the reason', () => {
    const parent = new AbortController();
    const heard: unknown[] = [];
    onAbort(parent.signal, (reason) => heard.push(reason));
    parent.abort('over');
    assert.deepEqual(heard, ['over']);
    assert.equal(getEventListeners(parent.signal, 'abort').length, 0);
  });

  it('call a listener at once when they have aborted already', () => {
    const heard: unknown[] = [];
    onAbort(AbortSignal.abort('over'), (reason) => heard.push(reason))();
    assert.deepEqual(heard, ['over']);
  });

  it('do not call a listener that was removed, and keep nothing of it', () => {
    const parent = new AbortController();
    const heard: unknown[] = [];
    const release = onAbort(parent.signal, (reason) => heard.push(reason));
    release();
    release();
    assert.equal(getEventListeners(parent.signal, 'abort').length, 0);
    parent.abort();
    assert.deepEqual(heard, []);
  });

  it('abort a linked signal with the same reason', () => {
    const parent = new AbortController();
    const link = linkAbort(parent.signal);
    parent.abort('over');
    assert.equal(link.signal.reason, 'over');
  });

  it('do not abort when a signal linked to them does', () => {
    const parent = new AbortController();
    const link = linkAbort(parent.signal);
    link.abort('done');
    link.release();
    assert.equal(link.signal.reason, 'done');
    assert.equal(parent.signal.aborted, false);
    assert.equal(getEventListeners(parent.signal, 'abort').length, 0);
  });

  it('resolve a promise that waits for them', async () => {
    const parent = new AbortController();
    const waiting = aborted(parent.signal);
    parent.abort();
    await waiting;
    await aborted(parent.signal);
  });
});

describe('abortable', () => {
  it('settles as the work does when nothing aborts', async () => {
    const { signal } = new AbortController();
    assert.equal(await abortable(Promise.resolve(1), signal), 1);
    await assert.rejects(abortable(Promise.reject(new Error('no')), signal), /no/);
  });

  it('rejects with the reason when the signal aborts, and ignores how the work ends after that', async () => {
    const controller = new AbortController();
    const { promise, reject } = deferred();
    const result = abortable(promise, controller.signal);
    controller.abort(new Error('over'));
    await assert.rejects(result, /over/);
    reject(new Error('nobody listens'));
    await new Promise(setImmediate);
  });

  it('rejects at once when the signal has aborted already', async () => {
    await assert.rejects(abortable(new Promise(() => {}), AbortSignal.abort(new Error('over'))), /over/);
  });
});

function deferred(): { promise: Promise<void>; reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((_, refuse) => {
    reject = refuse;
  });
  return { promise, reject };
}
