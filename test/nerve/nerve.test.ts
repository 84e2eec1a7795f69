import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { BadRequest } from '../../common/admin/admin.ts';
import { makeInstance } from '../../common/instance.ts';
import type { Announcer, CloseOptions, OnLeftover } from '../../nerve/announce/announcer.ts';
import type { Drains } from '../../nerve/announce/drain-store.ts';
import type { Registry } from '../../nerve/announce/registries.ts';
import { noRateLimit } from '../../nerve/config/rate-limit.ts';
import { Nerve } from '../../nerve/nerve.ts';
import { describeState } from '../../nerve/status.ts';
import { healthSwitch, nerveConfig, serviceConfig } from '../support/daemons/nerve-service.ts';
import { eventually } from '../support/eventually.ts';
import { nodeWarnings } from '../support/process/node-warnings.ts';
import { recordingLog } from '../support/process/recording-log.ts';

/** A registry in memory that can be away. */
class FakeRegistry implements Announcer {
  readonly calls: string[] = [];
  readonly shown = new Map<string, string>();
  away = false;
  closed = false;
  kept = false;
  error: string | null = null;
  onLeftover: OnLeftover = () => {};
  readonly #waiting: (() => void)[] = [];
  readonly #name: string;
  readonly #all: string[];

  constructor(name: string, all: string[]) {
    this.#name = name;
    this.#all = all;
  }

  announce(key: string, { state }: { readonly state: string }): void {
    this.#record(`announce ${short(key)} ${state}`);
    this.shown.set(key, state);
  }

  withdraw(key: string): void {
    this.#record(`withdraw ${short(key)}`);
    this.shown.delete(key);
  }

  settled(signal: AbortSignal): Promise<void> {
    if (!this.away) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  }

  return(): void {
    this.away = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  status(key: string) {
    return { announced: this.shown.has(key), reason: null, error: this.error };
  }

  get lease() {
    return this.away ? { id: null, held: false, reason: 'away' } : { id: '1', held: true, reason: null };
  }

  async close({ keep = false }: CloseOptions): Promise<void> {
    this.#record(keep ? 'close, keep' : 'close');
    this.kept = keep;
    this.closed = true;
    this.shown.clear();
  }

  #record(call: string): void {
    this.calls.push(call);
    this.#all.push(`${this.#name}: ${call}`);
  }
}

function memoryDrains(remembered = false, names: readonly string[] = []): Drains {
  const drained = new Set(names);
  return {
    remembered,
    since: (name) => (drained.has(name) ? '2026-11-23T12:00:00Z' : undefined),
    set: (name, drain) => void (drain ? drained.add(name) : drained.delete(name)),
    saved: async () => null,
  };
}

function short(key: string): string {
  return key.replace('/nerve/services/', '').replace('i-1_10.0.0.1', '');
}

function start(t: TestContext, drains = memoryDrains()) {
  const calls: string[] = [];
  const registries = new Map<string, FakeRegistry>();
  const connect = ({ etcd, ttlSeconds }: Registry, onLeftover: OnLeftover): Announcer => {
    const name = `${String(etcd.hosts).replace('http://127.0.0.1:', '')}/${ttlSeconds}`;
    const fake = new FakeRegistry(name, calls);
    fake.onLeftover = onLeftover;
    registries.set(name, fake);
    return fake;
  };
  const { log, lines } = recordingLog();
  const nerve = new Nerve({ log, connect, drains });
  t.after(() => nerve.close(1000));
  const main = (): FakeRegistry => {
    const found = registries.get('2379/10');
    assert.ok(found);
    return found;
  };
  return { nerve, calls, registries, main, lines, drains };
}

describe('Nerve', () => {
  it('announces what is up, withdraws what is down, and says no more than that', async (t) => {
    const { nerve, main } = start(t);
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

  it('touches only what changed when it gets a new configuration', async (t) => {
    const { nerve, main } = start(t);
    const services = ['a', 'b', 'c'].map((name) => serviceConfig(name, [healthSwitch().probe]));
    nerve.apply(nerveConfig(services));
    await eventually(() => assert.equal(main().shown.size, 3));
    const slots = new Map(nerve.services);
    main().calls.length = 0;
    // b becomes d; c gets another interval; a is read anew, with a function that is not the same one.
    const again = ['a', 'd'].map((name) => serviceConfig(name, [healthSwitch().probe]));
    nerve.apply(nerveConfig([...again, serviceConfig('c', [healthSwitch().probe], { check: { intervalMs: 6 } })]));
    await eventually(() =>
      assert.deepEqual(main().calls.toSorted(), ['announce c/:80 up', 'announce d/:80 up', 'withdraw b/:80']),
    );
    assert.equal(nerve.services.get('a'), slots.get('a'));
    assert.notEqual(nerve.services.get('c'), slots.get('c'));
    assert.ok(slots.get('b')?.state === 'retired' && slots.get('c')?.state === 'retired');
  });

  it('shows the old instance until the new one of a changed service is shown', async (t) => {
    const { nerve, main } = start(t);
    const api = healthSwitch();
    nerve.apply(nerveConfig([serviceConfig('api', [api.probe])]));
    await eventually(() => assert.equal(main().shown.size, 1));
    let answer = (): void => {};
    const slow = (): Promise<void> => new Promise((resolve) => (answer = resolve));
    nerve.apply(nerveConfig([serviceConfig('api', [slow], { port: 81, check: { timeoutMs: 3_600_000 } })]));
    const { probes } = api;
    await eventually(() => assert.ok(api.probes > probes + 2, 'the old checks go on'));
    assert.deepEqual(main().calls, ['announce api/:80 up']);
    main().away = true;
    await eventually(() => {
      answer();
      assert.deepEqual(main().calls.slice(1), ['announce api/:81 up']);
    });
    main().return();
    await eventually(() => assert.deepEqual(main().calls.slice(2), ['withdraw api/:80']));
    answer();
  });

  it('changes many services at once while the registry is away, without a warning of Node', async (t) => {
    const { nerve, main } = start(t);
    const warnings = nodeWarnings(t);
    const names = Array.from({ length: 20 }, (_, i) => `s${i}`);
    const services = (intervalMs: number) =>
      nerveConfig(names.map((name) => serviceConfig(name, [healthSwitch().probe], { check: { intervalMs } })));
    nerve.apply(services(5));
    await eventually(() => assert.equal(main().calls.length, names.length));
    main().away = true;
    nerve.apply(services(6));
    await eventually(() => assert.equal(main().calls.length, 2 * names.length));
    assert.deepEqual(warnings, []);
  });

  it('withdraws the old instance at once when the new one is down', async (t) => {
    const { nerve, main } = start(t);
    nerve.apply(nerveConfig([serviceConfig('api', [healthSwitch().probe])]));
    await eventually(() => assert.equal(main().shown.size, 1));
    main().away = true;
    nerve.apply(nerveConfig([serviceConfig('api', [healthSwitch(false).probe], { port: 81 })]));
    await eventually(() => assert.deepEqual(main().calls.slice(1), ['withdraw api/:81', 'withdraw api/:80']));
  });

  it('leaves a key alone that another service has taken over', async (t) => {
    const { nerve, main } = start(t);
    const key = '/nerve/services/shared/i-1_10.0.0.1:80';
    nerve.apply(nerveConfig([serviceConfig('old', [healthSwitch().probe], { key })]));
    await eventually(() => assert.equal(main().shown.size, 1));
    nerve.apply(nerveConfig([serviceConfig('new', [healthSwitch().probe], { key })]));
    await eventually(() => assert.deepEqual(main().calls, ['announce shared/:80 up', 'announce shared/:80 up']));
  });

  it('moves to another registry without a gap, and closes the one it left', async (t) => {
    const { nerve, calls, registries } = start(t);
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

  it('stays in the old registry for as long as the new one is away, also through another change', async (t) => {
    const { nerve, calls, registries } = start(t);
    const services = [serviceConfig('api', [healthSwitch().probe])];
    const hosts = (port: number) => ({ etcd: { hosts: [`http://127.0.0.1:${port}`] } });
    nerve.apply(nerveConfig(services, hosts(1)));
    await eventually(() => assert.deepEqual(calls, ['1/10: announce api/:80 up']));
    // A mistyped address, and then the right one.
    nerve.apply(nerveConfig(services, hosts(2)));
    const mistyped = registries.get('2/10');
    assert.ok(mistyped);
    mistyped.away = true;
    await eventually(() => assert.equal(mistyped.shown.size, 1));
    assert.equal(registries.get('1/10')?.shown.size, 1);
    assert.match(nerve.notReadyReason ?? '', /no lease in etcd: away/);
    nerve.apply(nerveConfig(services, hosts(3)));
    await eventually(() => assert.ok(registries.get('1/10')?.closed && mistyped.closed));
    assert.equal(registries.get('3/10')?.shown.size, 1);
    assert.equal(nerve.notReadyReason, null);
    assert.ok(calls.indexOf('3/10: announce api/:80 up') < calls.indexOf('1/10: withdraw api/:80'));
  });

  it('keeps one connection for services of one registry, and another for etcd_host', (t) => {
    const { nerve, registries } = start(t);
    const etcdHosts = ['10.0.0.9:2379'];
    nerve.apply(nerveConfig([serviceConfig('a', []), serviceConfig('b', []), serviceConfig('c', [], { etcdHosts })]));
    assert.deepEqual([...registries.keys()], ['2379/10', 'http://10.0.0.9:2379/10']);
  });

  it('drains and undrains while a service is up, and remembers it while it is down', async (t) => {
    const { nerve, main } = start(t);
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
    const { nerve, main } = start(t);
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    nerve.drain('api', true);
    nerve.apply(nerveConfig([serviceConfig('api', [], { rateLimit: { ...noRateLimit, shadow: false } })]));
    await eventually(() => assert.equal(main().calls.at(-1), 'announce api/:80 drain'));
  });

  it('remembers what was drained before it started, also of a service that comes later', async (t) => {
    const { nerve, main } = start(t, memoryDrains(true, ['api', 'web']));
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    assert.deepEqual(main().calls, ['announce api/:80 drain']);
    nerve.apply(nerveConfig([serviceConfig('web', [])]));
    assert.deepEqual(main().calls.slice(1), ['announce web/:80 drain', 'withdraw api/:80']);
  });

  const key = '/nerve/services/api/i-1_10.0.0.1:80';
  const left = makeInstance({ name: 'i-1', host: '10.0.0.1', port: 80, state: 'drain' });
  it('believes a drained record that a predecessor left when it remembers nothing itself', (t) => {
    const { nerve, main } = start(t);
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    main().onLeftover(key, left);
    assert.deepEqual(main().calls, ['announce api/:80 up', 'announce api/:80 drain']);
    nerve.drain('api', false);
    assert.equal(main().calls.at(-1), 'announce api/:80 up');
  });

  it('believes its own memory more than a record, which an undrain may not have reached', (t) => {
    const { nerve, main } = start(t, memoryDrains(true));
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    main().onLeftover(key, left);
    assert.deepEqual(main().calls, ['announce api/:80 up']);
  });

  it('drains all instances of a service, or the one that is named', (t) => {
    const { nerve, main } = start(t);
    const one = serviceConfig('api:80', [], { service: 'api' });
    const two = serviceConfig('api:81', [], { service: 'api', port: 81 });
    nerve.apply(nerveConfig([one, two, serviceConfig('web', [])]));
    assert.deepEqual(nerve.drain('api', true, 'i-1_10.0.0.1:81'), ['i-1_10.0.0.1:81']);
    assert.deepEqual(nerve.drain('api', true), ['i-1_10.0.0.1:80', 'i-1_10.0.0.1:81']);
    assert.deepEqual(main().calls.slice(3), ['announce api:81/:81 drain', 'announce api:80/:80 drain']);
    assert.throws(() => nerve.drain('api', true, 'x'), /there are i-1_10\.0\.0\.1:80, i-1_10\.0\.0\.1:81$/);
  });

  it('drains at the end without remembering it, and goes on checking meanwhile', async (t) => {
    const { nerve, main, drains } = start(t);
    const api = healthSwitch();
    nerve.apply(nerveConfig([serviceConfig('api', [api.probe])]));
    await eventually(() => assert.equal(main().shown.size, 1));
    assert.equal(await nerve.drainAll(AbortSignal.timeout(1000)), true);
    assert.deepEqual(main().calls.slice(1), ['announce api/:80 drain']);
    assert.equal(drains.since('api'), undefined);
    api.healthy = false;
    await eventually(() => assert.deepEqual(main().calls.slice(2), ['withdraw api/:80']));
    assert.equal(await nerve.drainAll(AbortSignal.timeout(1000)), false);
  });

  it('leaves everything to the next process when it is to', async (t) => {
    const { nerve, main } = start(t);
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    await nerve.close(1000, { keep: true });
    assert.deepEqual([main().calls, main().kept], [['announce api/:80 up', 'close, keep'], true]);
  });

  it('is not ready while the registry refuses something, and says what', (t) => {
    const { nerve, main } = start(t);
    nerve.apply(nerveConfig([serviceConfig('api', [])]));
    assert.equal(nerve.notReadyReason, null);
    main().error = 'database space exceeded';
    assert.equal(nerve.notReadyReason, 'etcd does not show api as it should: database space exceeded');
  });

  it('ends all checks, closes its registries and starts nothing after that', async (t) => {
    const { nerve, main } = start(t);
    const api = healthSwitch();
    nerve.apply(nerveConfig([serviceConfig('api', [api.probe])]));
    await eventually(() => assert.equal(main().shown.size, 1));
    await nerve.close(1000);
    assert.deepEqual(main().calls, ['announce api/:80 up', 'close']);
    assert.equal(nerve.notReadyReason, 'shutting down');
    nerve.apply(nerveConfig([serviceConfig('web', [])]));
    const { probes } = api;
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(api.probes, probes);
    assert.equal(main().calls.length, 2);
  });

  it('shows what it sees', async (t) => {
    const { nerve, main } = start(t);
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
