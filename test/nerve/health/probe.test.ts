import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { startProbe } from '../../../nerve/health/probe.ts';
import { makeCheck } from '../../support/daemons/check.ts';

const hour = 3_600_000;
const never = new AbortController().signal;

/** A check that waits until its signal aborts, as plugins must. */
const hanging = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('gave up')), { once: true }));

describe('startProbe', () => {
  it('passes when the check resolves', async () => {
    const { outcome, reason } = await startProbe(async () => {}, hour, never).result;
    assert.deepEqual([outcome, reason], ['pass', null]);
  });

  it('fails with the reason of the check and its causes', async () => {
    const error = new Error('no answer', { cause: new Error('refused') });
    const { outcome, reason } = await startProbe(() => Promise.reject(error), hour, never).result;
    assert.deepEqual([outcome, reason], ['fail', 'no answer: refused']);
  });

  it('fails when the check throws at once', async () => {
    const check = () => {
      throw new Error('thrown');
    };
    const { outcome, reason } = await startProbe(check, hour, never).result;
    assert.deepEqual([outcome, reason], ['fail', 'thrown']);
  });

  it('times out at the deadline, and aborts the signal of the check', async () => {
    const probe = startProbe(hanging, 20, never);
    const { outcome, reason } = await probe.result;
    assert.deepEqual([outcome, reason], ['timeout', 'no answer within 20 ms']);
    await probe.settled;
  });

  it('times out also when the check ignores its signal, and settles when the check returns', async () => {
    let finish = (): void => {};
    const probe = startProbe(() => new Promise((resolve) => (finish = resolve)), 20, never);
    assert.equal((await probe.result).outcome, 'timeout');
    let settled = false;
    const end = probe.settled.then(() => {
      settled = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(settled, false);
    finish();
    await end;
  });

  it('gives a probe back the time for which this process was held up', async (t) => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const check = await makeCheck('tcp', {}, { port });
    const probe = startProbe(check, 100, never);
    const until = performance.now() + 300;
    while (performance.now() < until);
    assert.equal((await probe.result).outcome, 'pass');
  });

  it('gives that time back once', async () => {
    const probe = startProbe(hanging, 20, never);
    const until = performance.now() + 100;
    while (performance.now() < until);
    assert.equal((await probe.result).outcome, 'timeout');
  });

  it('ends when the signal of its caller aborts, before or during the probe', async () => {
    const end = new AbortController();
    const probe = startProbe(hanging, hour, end.signal);
    end.abort(new Error('shutting down'));
    assert.equal((await probe.result).reason, 'shutting down');
    assert.equal((await startProbe(hanging, hour, end.signal).result).outcome, 'timeout');
  });

  it('leaves no listener on the signal of its caller', async () => {
    const end = new AbortController();
    for (let i = 0; i < 20; i++) await startProbe(i % 2 ? hanging : async () => {}, 1, end.signal).result;
    assert.equal(getEventListeners(end.signal, 'abort').length, 0);
  });
});
