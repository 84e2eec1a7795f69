import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BadRequest } from '../../common/admin/admin.ts';
import { makeInstance } from '../../common/instance.ts';
import { noRateLimit } from '../../nerve/config/rate-limit.ts';
import { memoryChanges, startNerve } from '../support/daemons/nerve-in-memory.ts';
import { healthSwitch, nerveConfig, serviceConfig } from '../support/daemons/nerve-service.ts';
import { eventually } from '../support/eventually.ts';

describe('draining', () => {
  it('drains and undrains a service that is up, and remembers that while it is down', async (t) => {
    const { nerve, main } = startNerve(t);
    const api = healthSwitch();
    nerve.apply(nerveConfig([serviceConfig('api', [api.probe])]));
    await eventually(() => assert.deepEqual(main().calls, ['announce api/:80 up']));
    assert.deepEqual(nerve.drain('api', true), ['i-1_10.0.0.1:80']);
    nerve.drain('api', true, 'i-1_10.0.0.1:80');
    api.healthy = false;
    await eventually(() => assert.equal(main().shown.size, 0));
    api.healthy = true;
    await eventually(() => assert.equal(main().shown.size, 1));
    nerve.drain('api', false);
    assert.deepEqual(main().calls, [
      'announce api/:80 up',
      'announce api/:80 drain',
      'withdraw api/:80',
      'announce api/:80 drain',
      'announce api/:80 up',
    ]);
    assert.throws(
      () => nerve.drain('nope', true),
      (error: Error) => error instanceof BadRequest && /there are api/.test(error.message),
    );
    assert.throws(() => nerve.drain('api', true, 'i-2'), /there is i-1_10\.0\.0\.1:80/);
  });

  it('keeps a service drained when its configuration changes', async (t) => {
    const { nerve, main } = startNerve(t);
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    nerve.drain('api', true);
    nerve.apply(nerveConfig([serviceConfig('api', [], { rateLimit: { ...noRateLimit, shadow: false } })]));
    await eventually(() => assert.equal(main().calls.at(-1), 'announce api/:80 drain'));
  });

  it('drains a service that was drained before nerve started, also one that is configured later', async (t) => {
    const { nerve, main } = startNerve(t, memoryChanges(true, ['api', 'web']));
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    assert.deepEqual(main().calls, ['announce api/:80 drain']);
    nerve.apply(nerveConfig([serviceConfig('web', [])]));
    assert.deepEqual(main().calls.slice(1), ['announce web/:80 drain', 'withdraw api/:80']);
  });

  const key = '/nerve/services/api/i-1_10.0.0.1:80';
  const left = makeInstance({ name: 'i-1', host: '10.0.0.1', port: 80, state: 'drain' });

  it('believes a draining record that an earlier process left when there is no state file', (t) => {
    const { nerve, main } = startNerve(t);
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    main().onLeftover(key, left);
    assert.deepEqual(main().calls, ['announce api/:80 up', 'announce api/:80 drain']);
    nerve.drain('api', false);
    assert.equal(main().calls.at(-1), 'announce api/:80 up');
  });

  it('believes the state file more than a record, which an undrain may not have reached', (t) => {
    const { nerve, main } = startNerve(t, memoryChanges(true));
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    main().onLeftover(key, left);
    assert.deepEqual(main().calls, ['announce api/:80 up']);
  });

  it('drains all instances of a service, or only the named one', (t) => {
    const { nerve, main } = startNerve(t);
    const one = serviceConfig('api:80', [], { service: 'api' });
    const two = serviceConfig('api:81', [], { service: 'api', port: 81 });
    nerve.apply(nerveConfig([one, two, serviceConfig('web', [])]));
    assert.deepEqual(nerve.drain('api', true, 'i-1_10.0.0.1:81'), ['i-1_10.0.0.1:81']);
    assert.deepEqual(nerve.drain('api', true), ['i-1_10.0.0.1:80', 'i-1_10.0.0.1:81']);
    assert.deepEqual(main().calls.slice(3), ['announce api:81/:81 drain', 'announce api:80/:80 drain']);
    assert.throws(() => nerve.drain('api', true, 'x'), /there are i-1_10\.0\.0\.1:80, i-1_10\.0\.0\.1:81$/);
  });

  it('drains everything before a shutdown, does not remember that, and goes on checking', async (t) => {
    const { nerve, main, operator } = startNerve(t);
    const api = healthSwitch();
    nerve.apply(nerveConfig([serviceConfig('api', [api.probe])]));
    await eventually(() => assert.equal(main().shown.size, 1));
    assert.equal(await nerve.drainAll(AbortSignal.timeout(1000)), true);
    assert.deepEqual(main().calls.slice(1), ['announce api/:80 drain']);
    assert.equal(operator.drainedSince('api'), undefined);
    api.healthy = false;
    await eventually(() => assert.deepEqual(main().calls.slice(2), ['withdraw api/:80']));
    assert.equal(await nerve.drainAll(AbortSignal.timeout(1000)), false);
  });
});
