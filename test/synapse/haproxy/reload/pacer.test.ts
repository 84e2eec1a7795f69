import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReloadPacer } from '../../../../synapse/haproxy/reload/pacer.ts';

describe('the pace of reloads', () => {
  const pacerAt = (restart_interval: number | null, restart_jitter = 0) => {
    const clock = { now: 1000 };
    const pacer = new ReloadPacer({ restart_interval, restart_jitter }, { now: () => clock.now, random: () => 1 });
    return { clock, pacer };
  };

  it('keeps the interval, lengthened by jitter, and waits longer after failures', () => {
    const { clock, pacer } = pacerAt(2000, 0.5);
    assert.equal(pacer.waitMs, 0);
    pacer.done(true);
    assert.equal(pacer.waitMs, 3000);
    clock.now += 3000;
    assert.equal(pacer.waitMs, 0);
    pacer.done(false);
    assert.equal(pacer.waitMs, 5000);
    pacer.done(false);
    assert.equal(pacer.waitMs, 10_000);
    pacer.forget();
    assert.equal(pacer.waitMs, 3000);
    for (let count = 0; count < 20; count++) pacer.done(false);
    assert.equal(pacer.waitMs, 300_000);
  });

  it('lets the next reload begin 3 s after the last one where the interval is 3 s', () => {
    const { clock, pacer } = pacerAt(3000);
    pacer.done(true);
    clock.now += 1000;
    assert.equal(pacer.waitMs, 2000);
    clock.now += 2000;
    assert.equal(pacer.waitMs, 0);
    pacer.done(true);
    assert.equal(pacer.waitMs, 3000);
  });

  it('lets a second reload follow at once where no interval is given, and then one every 2 s', () => {
    const { clock, pacer } = pacerAt(null);
    pacer.done(true);
    assert.equal(pacer.waitMs, 0);
    pacer.done(true);
    assert.equal(pacer.waitMs, 2000);
    clock.now += 2000;
    assert.equal(pacer.waitMs, 0);
    pacer.done(true);
    assert.equal(pacer.waitMs, 2000);
    clock.now += 60_000;
    pacer.done(true);
    assert.equal(pacer.waitMs, 0);
  });

  it('waits for three times the duration of a long reload', () => {
    const { pacer } = pacerAt(null);
    pacer.done(true, 10_000);
    assert.equal(pacer.waitMs, 30_000);
  });
});
