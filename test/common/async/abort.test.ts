import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { aborted, linkAbort, onAbort, timeoutSignal } from '../../../common/async/abort.ts';

describe('abort signals', () => {
  it('a listener hears the reason once', () => {
    const parent = new AbortController();
    const heard: unknown[] = [];
    onAbort(parent.signal, (reason) => heard.push(reason));
    parent.abort('over');
    assert.deepEqual(heard, ['over']);
    assert.equal(getEventListeners(parent.signal, 'abort').length, 0);
  });

  it('a listener on an aborted signal is called at once', () => {
    const heard: unknown[] = [];
    onAbort(AbortSignal.abort('over'), (reason) => heard.push(reason))();
    assert.deepEqual(heard, ['over']);
  });

  it('a listener that was taken away hears nothing and leaves nothing', () => {
    const parent = new AbortController();
    const heard: unknown[] = [];
    const release = onAbort(parent.signal, (reason) => heard.push(reason));
    release();
    release();
    assert.equal(getEventListeners(parent.signal, 'abort').length, 0);
    parent.abort();
    assert.deepEqual(heard, []);
  });

  it('a linked signal ends with its parent, with the same reason', () => {
    const parent = new AbortController();
    const link = linkAbort(parent.signal);
    parent.abort('over');
    assert.equal(link.signal.reason, 'over');
  });

  it('a linked signal ends alone, and releases its parent', () => {
    const parent = new AbortController();
    const link = linkAbort(parent.signal);
    link.abort('done');
    link.release();
    assert.equal(link.signal.reason, 'done');
    assert.equal(parent.signal.aborted, false);
    assert.equal(getEventListeners(parent.signal, 'abort').length, 0);
  });

  it('waiting for a signal ends when it aborts', async () => {
    const parent = new AbortController();
    const waiting = aborted(parent.signal);
    parent.abort();
    await waiting;
    await aborted(parent.signal);
  });

  it('a timeout aborts with a TimeoutError', async () => {
    const signal = timeoutSignal(1);
    const keepAlive = setInterval(() => {}, 1_000);
    await aborted(signal);
    clearInterval(keepAlive);
    assert.equal((signal.reason as Error).name, 'TimeoutError');
  });
});
