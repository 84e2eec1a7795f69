import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesInUse, countAbortListeners } from '../support/process/leaks.ts';
import { World } from './world/world.ts';

/** How many times the health of an instance changes. */
const changes = 10_000;
/** After this many, everything that is kept up to a limit has come to it: the last 10,000 traces (`traces.ts`). */
const changesBefore = 11_000;
/** How many connections are opened: the daemons pause before each. */
const connections = 500;
/** A change every so many milliseconds: each reaches etcd, the synapse and HAProxy. */
const everyMs = 25;
/** What a change may leave in memory, in bytes: less than one entry of a map with its key. */
const mostBytesEach = 50;

/** A small site that runs, and counts what must not grow. */
class Site {
  readonly world: World;
  readonly #listeners: () => number;
  readonly #timers: readonly number[];

  private constructor(world: World, listeners: () => number) {
    this.world = world;
    this.#listeners = listeners;
    this.#timers = this.#hosts.map(({ process }) => process?.timers ?? 0);
  }

  static async start(): Promise<Site> {
    const world = await World.create(1, {
      nerve: { ttlSeconds: 10, checkIntervalMs: 100, rise: 1, fall: 1 },
      services: [{ name: 'api', hosts: 1 }],
      instancesPerHost: 10,
      proxies: 1,
      check: false,
    });
    const listeners = countAbortListeners();
    for (const host of [...world.nerves, ...world.proxies]) host.start();
    await world.scheduler.run(10_000);
    return new Site(world, listeners);
  }

  get #hosts() {
    return [...this.world.nerves, ...this.world.proxies];
  }

  pass(milliseconds: number): Promise<unknown> {
    return this.world.scheduler.run(this.world.scheduler.now() + milliseconds);
  }

  /** The health of an instance changes this many times. */
  async change(count: number): Promise<void> {
    const { scheduler, instances } = this.world;
    let done = 0;
    const next = (): void => {
      const instance = instances.all[done % instances.all.length];
      done += 1;
      if (instance !== undefined) instances.change(instance, { healthy: !instance.healthy });
      if (done < count) scheduler.at(everyMs, next);
    };
    scheduler.at(everyMs, next);
    await this.pass(count * everyMs + 10_000);
    assert.equal(done, count);
  }

  /** What is in use when nothing is left of the history of the site itself. */
  memory(): number {
    const { history, etcd, proxies } = this.world;
    history.forget();
    etcd.store.forgetHistory();
    for (const { clients } of proxies) clients.failed.length = 0;
    return bytesInUse();
  }

  /** @throws when there are more timers or listeners than when it had started */
  expectNothingLeft(): void {
    const listeners = this.#listeners();
    for (const [index, { name, process }] of this.#hosts.entries()) {
      const [now, before] = [process?.timers ?? 0, this.#timers[index] ?? 0];
      assert.ok(now <= before + 10, `${name}: ${now} timers, and ${before} before`);
    }
    assert.ok(listeners < 100, `one signal had ${listeners} abort listeners`);
  }
}

describe('nerve and synapse in a calm world', () => {
  it('keep as many timers, abort listeners and bytes after 10,000 changes as before', async () => {
    const site = await Site.start();
    await site.change(changesBefore);
    const before = site.memory();
    const revision = site.world.etcd.store.revision;
    await site.change(changes);
    let grownBytes = site.memory() - before;
    if (grownBytes >= changes * mostBytesEach) {
      // What V8 keeps for itself comes once, and may come now. What a change leaves comes again.
      const between = before + grownBytes;
      await site.change(changes);
      grownBytes = site.memory() - between;
    }
    site.expectNothingLeft();
    assert.ok(site.world.etcd.store.revision - revision >= changes, 'the changes did not reach etcd');
    assert.ok(grownBytes < changes * mostBytesEach, `${grownBytes} bytes more are in use`);
  });

  it('keep as many timers and abort listeners after 500 connections as before', async () => {
    const site = await Site.start();
    const { network, proxies } = site.world;
    const opened = network.opened + (proxies[0]?.haproxy.opened ?? 0);
    const all = (): number => network.opened + (proxies[0]?.haproxy.opened ?? 0) - opened;
    while (all() < connections) {
      network.resetAll();
      for (const { haproxy } of proxies) haproxy.resetAll();
      await site.pass(500);
    }
    await site.pass(30_000);
    site.expectNothingLeft();
    assert.ok(network.size < 20, `${network.size} connections are open`);
  });
});
