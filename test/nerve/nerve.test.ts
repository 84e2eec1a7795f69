import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeState } from '../../nerve/status.ts';
import { startNerve } from '../support/daemons/nerve-in-memory.ts';
import { healthSwitch, nerveConfig, serviceConfig } from '../support/daemons/nerve-service.ts';
import { eventually } from '../support/eventually.ts';

describe('Nerve', () => {
  it('announces a service that is up, withdraws one that is down, and makes no other request', async (t) => {
    const { nerve, main } = startNerve(t);
    const [api, web] = [healthSwitch(), healthSwitch(false)];
    nerve.apply(nerveConfig([serviceConfig('api', [api.probe]), serviceConfig('web', [web.probe])]));
    await eventually(() => assert.deepEqual(main().calls.toSorted(), ['announce api/:80 up', 'withdraw web/:80']));
    const { probes } = api;
    await eventually(() => assert.ok(api.probes > probes + 5));
    assert.equal(main().calls.length, 2);
    api.healthy = false;
    web.healthy = true;
    await eventually(() => assert.deepEqual([...main().shown], [['/nerve/services/web/i-1_10.0.0.1:80', 'up']]));
  });

  it('restarts only the services that a new configuration changes', async (t) => {
    const { nerve, main } = startNerve(t);
    const configs = ['a', 'b', 'c'].map((name) => serviceConfig(name, [healthSwitch().probe]));
    nerve.apply(nerveConfig(configs));
    await eventually(() => assert.equal(main().shown.size, 3));
    const before = new Map(nerve.services);
    main().calls.length = 0;
    // b is removed, d is new, c gets another interval. a has the same options and another probe function.
    const again = ['a', 'd'].map((name) => serviceConfig(name, [healthSwitch().probe]));
    nerve.apply(nerveConfig([...again, serviceConfig('c', [healthSwitch().probe], { check: { intervalMs: 6 } })]));
    await eventually(() =>
      assert.deepEqual(main().calls.toSorted(), ['announce c/:80 up', 'announce d/:80 up', 'withdraw b/:80']),
    );
    assert.equal(nerve.services.get('a'), before.get('a'));
    assert.notEqual(nerve.services.get('c'), before.get('c'));
    assert.ok(before.get('b')?.state === 'retired' && before.get('c')?.state === 'retired');
  });

  it('opens one connection for all services of a registry, and another for etcd_host', (t) => {
    const { nerve, registries } = startNerve(t);
    const etcdHosts = ['10.0.0.9:2379'];
    nerve.apply(nerveConfig([serviceConfig('a', []), serviceConfig('b', []), serviceConfig('c', [], { etcdHosts })]));
    assert.deepEqual([...registries.keys()], ['2379/10', 'http://10.0.0.9:2379/10']);
  });

  it('leaves everything to the next process when it closes with keep', async (t) => {
    const { nerve, main } = startNerve(t);
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    await nerve.close(1000, { keep: true });
    assert.deepEqual([main().calls, main().kept], [['announce api/:80 up', 'close, keep'], true]);
  });

  it('is not ready while the registry reports an error, and says which', (t) => {
    const { nerve, main } = startNerve(t);
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    assert.equal(nerve.notReadyReason, null);
    main().error = 'database space exceeded';
    assert.equal(nerve.notReadyReason, 'etcd does not show api as it should: database space exceeded');
  });

  it('ends all checks and closes its registries when it closes, and starts nothing after that', async (t) => {
    const { nerve, main } = startNerve(t);
    const api = healthSwitch();
    nerve.apply(nerveConfig([serviceConfig('api', [api.probe])]));
    await eventually(() => assert.equal(main().shown.size, 1));
    await nerve.close(1000);
    assert.deepEqual(main().calls, ['announce api/:80 up', 'close']);
    assert.equal(nerve.notReadyReason, 'shutting down');
    nerve.apply(nerveConfig([serviceConfig('web', [])]));
    const { probes } = api;
    // In the time in which another nerve probes several times, this one does not.
    const other = healthSwitch();
    startNerve(t).nerve.apply(nerveConfig([serviceConfig('api', [other.probe])]));
    await eventually(() => assert.ok(other.probes > 5));
    assert.equal(api.probes, probes);
    assert.equal(main().calls.length, 2);
  });

  it('describes its state', async (t) => {
    const { nerve, main } = startNerve(t);
    nerve.apply(nerveConfig([serviceConfig('api', []), serviceConfig('web', [healthSwitch(false).probe])]));
    await eventually(() => assert.equal(main().calls.length, 2));
    const state = describeState(nerve, '1.0.0');
    assert.deepEqual([state.version, state.ready, state.reason], ['1.0.0', true, null]);
    assert.deepEqual(
      state.services.map(({ name, instance, key, health, drained, announced, reason }) => ({
        name,
        instance,
        key,
        health,
        drained,
        announced,
        reason,
      })),
      [
        {
          name: 'api',
          instance: 'i-1_10.0.0.1:80',
          key: '/nerve/services/api/i-1_10.0.0.1:80',
          health: 'up',
          drained: false,
          announced: true,
          reason: null,
        },
        {
          name: 'web',
          instance: 'i-1_10.0.0.1:80',
          key: '/nerve/services/web/i-1_10.0.0.1:80',
          health: 'down',
          drained: false,
          announced: false,
          reason: 'a check fails',
        },
      ],
    );
    assert.deepEqual(state.leases, [
      { hosts: ['http://127.0.0.1:2379'], ttl: 10, id: '1', held: true, lastError: null },
    ]);
  });
});
