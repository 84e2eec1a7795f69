import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { registry } from '../../common/daemon/metrics.ts';
import { startNerve } from '../support/daemons/nerve-in-memory.ts';
import { healthSwitch, nerveConfig, serviceConfig } from '../support/daemons/nerve-service.ts';
import { eventually } from '../support/eventually.ts';
import { nodeWarnings } from '../support/process/node-warnings.ts';

describe('a service whose configuration changes', () => {
  it('stays visible at its old address until the registry shows the new one', async (t) => {
    const { nerve, main } = startNerve(t);
    const api = healthSwitch();
    nerve.apply(nerveConfig([serviceConfig('api', [api.probe])]));
    await eventually(() => assert.equal(main().shown.size, 1));
    const { answer, probe } = slowProbe();
    nerve.apply(nerveConfig([serviceConfig('api', [probe], { port: 81, check: { timeoutMs: 3_600_000 } })]));
    const { probes } = api;
    await eventually(() => assert.ok(api.probes > probes + 2, 'the old checks go on'));
    assert.deepEqual(main().calls, ['announce api/:80 up']);
    main().unreachable = true;
    await eventually(() => {
      answer();
      assert.deepEqual(main().calls.slice(1), ['announce api/:81 up']);
    });
    main().recover();
    await eventually(() => assert.deepEqual(main().calls.slice(2), ['withdraw api/:80']));
    answer();
  });

  it('changes together with many others while the registry is unreachable, without a warning of Node', async (t) => {
    const { nerve, main } = startNerve(t);
    const warnings = nodeWarnings(t);
    const names = Array.from({ length: 20 }, (_, i) => `s${i}`);
    const services = (intervalMs: number) =>
      nerveConfig(names.map((name) => serviceConfig(name, [healthSwitch().probe], { check: { intervalMs } })));
    nerve.apply(services(5));
    await eventually(() => assert.equal(main().calls.length, names.length));
    main().unreachable = true;
    nerve.apply(services(6));
    await eventually(() => assert.equal(main().calls.length, 2 * names.length));
    assert.deepEqual(warnings, []);
  });

  it('loses its old address at once when it is down at the new one', async (t) => {
    const { nerve, main } = startNerve(t);
    nerve.apply(nerveConfig([serviceConfig('api', [healthSwitch().probe])]));
    await eventually(() => assert.equal(main().shown.size, 1));
    main().unreachable = true;
    nerve.apply(nerveConfig([serviceConfig('api', [healthSwitch(false).probe], { port: 81 })]));
    await eventually(() => assert.deepEqual(main().calls.slice(1), ['withdraw api/:81', 'withdraw api/:80']));
  });

  it('leaves its key alone when another service has taken that over', async (t) => {
    const { nerve, main } = startNerve(t);
    const key = '/nerve/services/shared/i-1_10.0.0.1:80';
    nerve.apply(nerveConfig([serviceConfig('old', [healthSwitch().probe], { key })]));
    await eventually(() => assert.equal(main().shown.size, 1));
    nerve.apply(nerveConfig([serviceConfig('new', [healthSwitch().probe], { key })]));
    await eventually(() => assert.deepEqual(main().calls, ['announce shared/:80 up', 'announce shared/:80 up']));
  });

  it('moves to another registry without a gap, and nerve closes the one it left', async (t) => {
    const { nerve, calls, registries } = startNerve(t);
    const services = [serviceConfig('api', [healthSwitch().probe])];
    nerve.apply(nerveConfig(services));
    await eventually(() => assert.deepEqual(calls, ['2379/10: announce api/:80 up']));
    nerve.apply(nerveConfig(services, { ttlSeconds: 20 }));
    const next = registries.get('2379/20');
    assert.ok(next);
    await eventually(() => assert.equal(registries.get('2379/10')?.closed, true));
    assert.deepEqual(calls.slice(1), ['2379/20: announce api/:80 up', '2379/10: withdraw api/:80', '2379/10: close']);
    assert.equal(next.closed, false);
  });

  it('stays in its old registry while the new one is unreachable, also through another change', async (t) => {
    const { nerve, calls, registries } = startNerve(t);
    const services = [serviceConfig('api', [healthSwitch().probe])];
    const hosts = (port: number) => ({ etcd: { hosts: [`http://127.0.0.1:${port}`] } });
    nerve.apply(nerveConfig(services, hosts(1)));
    await eventually(() => assert.deepEqual(calls, ['1/10: announce api/:80 up']));
    // First a mistyped address, then the right one.
    nerve.apply(nerveConfig(services, hosts(2)));
    const mistyped = registries.get('2/10');
    assert.ok(mistyped);
    mistyped.unreachable = true;
    await eventually(() => assert.equal(mistyped.shown.size, 1));
    assert.equal(registries.get('1/10')?.shown.size, 1);
    assert.match(nerve.notReadyReason ?? '', /no lease in etcd: unreachable/);
    nerve.apply(nerveConfig(services, hosts(3)));
    await eventually(() => assert.ok(registries.get('1/10')?.closed && mistyped.closed));
    assert.equal(registries.get('3/10')?.shown.size, 1);
    assert.equal(nerve.notReadyReason, null);
    assert.ok(calls.indexOf('3/10: announce api/:80 up') < calls.indexOf('1/10: withdraw api/:80'));
  });

  it('is drained at its old address while its health at the new one is unknown', async (t) => {
    const { nerve, main } = startNerve(t);
    nerve.apply(nerveConfig([serviceConfig('api', [healthSwitch().probe])]));
    await eventually(() => assert.deepEqual(main().calls, ['announce api/:80 up']));
    const { answer, probe } = slowProbe();
    nerve.apply(nerveConfig([serviceConfig('api', [probe], { port: 81, check: { timeoutMs: 3_600_000 } })]));
    nerve.drain('api', true);
    assert.deepEqual(main().calls.slice(1), ['announce api/:80 drain']);
    nerve.drain('api', false);
    assert.deepEqual(main().calls.slice(2), ['announce api/:80 up']);
    assert.equal(await nerve.drainAll(AbortSignal.timeout(1000)), true);
    assert.deepEqual(main().calls.slice(3), ['announce api/:80 drain']);
    answer();
  });

  it('is drained in its old registry while the new one is unreachable', async (t) => {
    const { nerve, registries } = startNerve(t);
    const services = [serviceConfig('api', [healthSwitch().probe])];
    const hosts = (port: number) => ({ etcd: { hosts: [`http://127.0.0.1:${port}`] } });
    nerve.apply(nerveConfig(services, hosts(1)));
    await eventually(() => assert.deepEqual(registries.get('1/10')?.calls, ['announce api/:80 up']));
    nerve.apply(nerveConfig(services, hosts(2)));
    const next = registries.get('2/10');
    assert.ok(next);
    next.unreachable = true;
    await eventually(() => assert.equal(nerve.services.get('api')?.state, 'taking-over'));
    nerve.drain('api', true);
    assert.deepEqual(registries.get('1/10')?.calls.slice(1), ['announce api/:80 drain']);
    nerve.drain('api', false);
    assert.deepEqual(registries.get('1/10')?.calls.slice(2), ['announce api/:80 up']);
    next.recover();
    await eventually(() => assert.equal(registries.get('1/10')?.closed, true));
    assert.deepEqual(next.calls, ['announce api/:80 up', 'announce api/:80 drain', 'announce api/:80 up']);
  });

  it('counts as replaced once, even when its health changes before the registry shows it', async (t) => {
    const { nerve, main } = startNerve(t);
    const replaced = /nerve_service_reaps_total\{service="flapping",reason="update"\} (\d+)/;
    nerve.apply(nerveConfig([serviceConfig('flapping', [healthSwitch().probe])]));
    await eventually(() => assert.equal(main().shown.size, 1));
    main().unreachable = true;
    const next = healthSwitch();
    nerve.apply(nerveConfig([serviceConfig('flapping', [next.probe], { port: 81 })]));
    await eventually(() => assert.equal(nerve.services.get('flapping')?.state, 'taking-over'));
    next.healthy = false;
    await eventually(() => assert.equal(main().calls.at(-1), 'withdraw flapping/:80'));
    main().recover();
    next.healthy = true;
    await eventually(() => assert.equal(main().calls.at(-1), 'announce flapping/:81 up'));
    assert.equal(replaced.exec(await registry.metrics())?.[1], '1');
  });
});

/** A probe that waits until the test lets it pass. */
function slowProbe() {
  let pass = (): void => {};
  return {
    probe: (): Promise<void> => new Promise((resolve) => (pass = resolve)),
    answer: () => pass(),
  };
}
