import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HoldTimers } from '../../../synapse/catalog/hold-timers.ts';

describe('hold timers', () => {
  it('fire once for each service, at the time that was set last', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const ended: string[] = [];
    const timers = new HoldTimers((service) => ended.push(service));
    timers.set('api', performance.now() + 60_000);
    timers.set('web', performance.now() + 60_000);
    timers.set('api', performance.now() + 5_000);
    t.mock.timers.tick(10_000);
    assert.deepEqual(ended, ['api']);
    t.mock.timers.tick(100_000);
    assert.deepEqual(ended, ['api', 'web']);
  });

  it('do not fire for a service without suspects, nor after they are cleared', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const ended: string[] = [];
    const timers = new HoldTimers((service) => ended.push(service));
    timers.set('api', performance.now() + 5_000);
    timers.set('api', undefined);
    timers.set('web', performance.now() + 5_000);
    timers.clear();
    t.mock.timers.tick(60_000);
    assert.deepEqual(ended, []);
  });
});
