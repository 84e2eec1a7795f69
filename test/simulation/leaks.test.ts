import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { World } from './world/world.ts';

/** How many times the health of an instance changes. */
const changes = 10_000;
/** A change every so many milliseconds: each reaches etcd, the synapse and HAProxy. */
const everyMs = 25;

/** Counts abort listeners, by signal. @returns what stops the counting, and gives the most that one signal has had */
function countAbortListeners(): () => number {
  const counts = new WeakMap<AbortSignal, number>();
  let most = 0;
  const { addEventListener, removeEventListener } = AbortSignal.prototype;
  const count = (signal: AbortSignal, by: number): void => {
    const now = (counts.get(signal) ?? 0) + by;
    counts.set(signal, now);
    most = Math.max(most, now);
  };
  AbortSignal.prototype.addEventListener = function (this: AbortSignal, ...args: Parameters<typeof addEventListener>) {
    count(this, 1);
    addEventListener.apply(this, args);
  } as typeof addEventListener;
  AbortSignal.prototype.removeEventListener = function (
    this: AbortSignal,
    ...args: Parameters<typeof removeEventListener>
  ) {
    count(this, -1);
    removeEventListener.apply(this, args);
  } as typeof removeEventListener;
  return () => {
    Object.assign(AbortSignal.prototype, { addEventListener, removeEventListener });
    return most;
  };
}

describe('nerve and synapse in a calm world', () => {
  it('keep as many timers and abort listeners after 10,000 changes as before', async () => {
    const world = await World.create(1, {
      nerve: { ttlSeconds: 10, checkIntervalMs: 100, rise: 1, fall: 1 },
      services: [{ name: 'api', hosts: 1 }],
      instancesPerHost: 10,
      proxies: 1,
      check: false,
    });
    const { scheduler, nerves, proxies, instances } = world;
    const mostListeners = countAbortListeners();
    const hosts = [...nerves, ...proxies];
    for (const host of hosts) host.start();
    await scheduler.run(10_000);
    const timers = hosts.map(({ process }) => process?.timers ?? 0);
    const revision = world.etcd.store.revision;
    const all = [...instances.all.values()];
    let done = 0;
    const change = (): void => {
      const instance = all[done % all.length];
      done += 1;
      if (instance !== undefined) instances.change(instance, { healthy: !instance.healthy });
      if (done < changes) scheduler.at(everyMs, change);
    };
    scheduler.at(everyMs, change);
    await scheduler.run(scheduler.now() + changes * everyMs + 10_000);
    const listeners = mostListeners();
    assert.equal(done, changes);
    assert.ok(world.etcd.store.revision - revision >= changes, 'the changes did not reach etcd');
    for (const [index, { name, process }] of hosts.entries()) {
      const now = process?.timers ?? 0;
      assert.ok(now <= (timers[index] ?? 0) + 10, `${name}: ${now} timers, and ${timers[index]} before the changes`);
    }
    assert.ok(listeners < 100, `one signal had ${listeners} abort listeners`);
  });
});
