import assert from 'node:assert/strict';
import type { FailedRequest } from './world/clients.ts';
import type { SimulatedInstance } from './world/instances.ts';
import type { NerveHost } from './world/nerve-host.ts';
import type { ProxyHost } from './world/proxy-host.ts';
import { World, type WorldSettings } from './world/world.ts';

const settings: Partial<WorldSettings> = {
  nerve: { ttlSeconds: 5, checkIntervalMs: 1_000, rise: 1, fall: 2 },
  instancesPerHost: 1,
  proxies: 1,
  haproxyVersion: '3.2.26',
};

/** When every daemon runs and HAProxy is up to date, in milliseconds. */
const startedMs = 10_000;

/** The address of the only instance of a host. */
export function addressOf({ instances }: NerveHost): string {
  return (instances[0] as SimulatedInstance).address;
}

/** A world that runs, and what a scenario does to it. */
export class Site {
  readonly world: World;
  readonly proxy: ProxyHost;

  private constructor(world: World) {
    this.world = world;
    this.proxy = world.proxies[0] as ProxyHost;
  }

  static async start(
    more: Partial<WorldSettings>,
    { nerves = true, configured = [] as readonly number[] } = {},
  ): Promise<Site> {
    const site = new Site(await World.create(1, { ...settings, ...more }));
    for (const [index, nerve] of site.nerves.entries()) {
      const count = configured[index] ?? nerve.instances.length;
      for (const instance of nerve.instances.slice(count)) nerve.configured.delete(instance);
      if (nerves) nerve.start();
    }
    site.proxy.start();
    await site.pass(startedMs);
    return site;
  }

  get nerves(): readonly NerveHost[] {
    return this.world.nerves;
  }

  get now(): number {
    return this.world.scheduler.now();
  }

  of(service: string): readonly NerveHost[] {
    return this.nerves.filter(({ instances }) => instances[0]?.service === service);
  }

  keyOf(nerve: NerveHost): string {
    return nerve.keyOf(nerve.instances[0] as SimulatedInstance);
  }

  /** Runs the world for this time. */
  pass(milliseconds: number): Promise<unknown> {
    return this.world.scheduler.run(this.now + milliseconds);
  }

  /** Announces every instance by hand, under one lease that lives, or none. */
  async byHand(lease: string): Promise<void> {
    const { etcd } = this.world;
    if (lease !== '0') await this.commit(() => etcd.grant(lease, 3_600));
    for (const nerve of this.nerves) {
      const [host, port] = addressOf(nerve).split(':');
      const value = Buffer.from(JSON.stringify({ host, port: Number(port), name: nerve.name }));
      await this.commit(() => etcd.put(this.keyOf(nerve), value, lease));
    }
    await this.pass(2_000);
    this.proxy.clients.failed.length = 0;
  }

  async commit(run: () => unknown): Promise<void> {
    const { etcd } = this.world;
    let done = false;
    for (let left = 50; !done && left > 0; left -= 1) {
      if (etcd.leader !== undefined) {
        etcd.propose(
          etcd.leader,
          { run },
          () => {
            done = true;
          },
          (error) => assert.fail(error.details),
        );
      }
      await this.pass(100);
    }
    assert.ok(done, 'etcd did not commit');
  }

  stopInstances({ instances }: NerveHost): void {
    for (const instance of instances) this.world.instances.change(instance, { running: false });
  }

  /** The host is a black hole from now on. */
  dies(nerve: NerveHost): void {
    this.world.instances.dead.add(nerve.name);
    this.stopInstances(nerve);
    nerve.kill();
  }

  /** Has another member become the leader, which raises the term. */
  async electAnother(): Promise<void> {
    const { etcd } = this.world;
    const { leader } = etcd;
    assert.ok(leader);
    etcd.kill(leader);
    await this.pass(5_000);
    etcd.start(leader);
    await this.pass(5_000);
  }

  /** Commits this, and has the synapse start again, so that it lists after that. @returns the revision of etcd then */
  async listedAfter(run: () => unknown): Promise<number> {
    await this.commit(run);
    const { proxy } = this;
    proxy.kill();
    await this.pass(1_000);
    proxy.start();
    await this.pass(startedMs);
    return this.world.etcd.store.revision;
  }

  cutOffNerves(): void {
    this.cutOff(this.nerves.map(({ name }) => name));
  }

  /** Cuts the ways of these hosts to etcd in both directions. */
  cutOff(names: readonly string[]): void {
    for (const name of names) {
      for (const { host } of this.world.etcd.members) {
        this.world.network.cut(name, host);
        this.world.network.cut(host, name);
      }
    }
  }

  /** Addresses of `api` that get requests. */
  inUse(): readonly string[] {
    const servers = this.proxy.haproxy.worker?.serversOf('api') ?? [];
    return servers.filter(({ isOpen }) => isOpen).map(({ address }) => address);
  }

  failed(sinceMs = startedMs): readonly FailedRequest[] {
    return this.proxy.clients.failed.filter(({ at, service }) => at >= sinceMs && service === 'api');
  }
}
