import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatInstance, makeInstance } from '../../../common/instance.ts';
import { freePorts } from '../../../etcd-cluster/members/ports.ts';
import { startDaemon, type TestDaemon } from '../daemons/daemon.ts';
import { type EtcdVersion, grantLease, portOf, put } from '../etcd/etcd.ts';
import { type ProxiedCluster, startProxiedCluster } from '../etcd/proxied-cluster.ts';
import { patienceMs } from '../eventually.ts';
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.ts';
import { type Balancer, startBalancer } from './balancer.ts';
import { type InstanceHost, startLocalHost } from './instance-host.ts';
import { startNetworkHost } from './network-host.ts';

/** How long a nerve may be silent by default, in seconds. */
export const usualTtlSeconds = 5;

/** What a site consists of. */
export interface SiteShape {
  /** Instances of `api` on each host. */
  readonly hosts: readonly number[];
  /** How the instances are announced: each host by its nerve, or all by hand, under one lease that lives or under none. */
  readonly announced: 'by nerves' | 'under one lease' | 'without a lease';
  /** The time of the leases. */
  readonly ttlSeconds?: number;
  /** Each host has a network of its own, and is a black hole when it dies. Needs root. */
  readonly networks?: boolean;
  /** Flags of etcd. */
  readonly etcdFlags?: readonly string[];
}

/** How a site is run. */
export interface SiteOptions {
  /** The number of etcd members, and their version, by default 3.5. */
  readonly members: number;
  readonly etcdVersion?: EtcdVersion;
  /** Requests a second through each HAProxy. */
  readonly perSecond: number;
  readonly pace: Pace;
  /** The `dist` of the checkout whose daemons run; default: this one's. */
  readonly dist?: string;
}

/** What lies between the steps of a scenario: fixed times where it is measured, conditions where it is tested. */
export interface Pace {
  /** Between the withdrawal of instances and their stop; `usualMs` is a usual time. */
  withdrawn(site: Site, usualMs: number): Promise<void>;
  /** Before the requests are counted. */
  counted(site: Site): Promise<void>;
  /** After the last step; `stays` instances are in use in the end. */
  rest(site: Site, stays: number): Promise<void>;
}

/** etcd, hosts with instances and nerves, and two balancers, one with HAProxy's own checks and one without. */
export class Site {
  readonly etcd: ProxiedCluster;
  readonly hosts: readonly InstanceHost[];
  readonly balancers: readonly Balancer[];
  readonly pace: Pace;
  readonly #nerves: ReadonlyMap<InstanceHost, TestDaemon>;
  readonly #synapseProxies: readonly FaultProxy[];
  readonly #parts: Parts;
  readonly #goneAt = new Map<string, number>();

  /** Use {@link startSite}. */
  constructor(pace: Pace, parts: Parts) {
    this.pace = pace;
    this.etcd = parts.etcd as ProxiedCluster;
    this.hosts = parts.hosts;
    this.balancers = parts.balancers;
    this.#nerves = parts.nerves;
    this.#synapseProxies = parts.synapseProxies;
    this.#parts = parts;
  }

  /** When the instances of each address were declared gone, in milliseconds of `performance.now()`. */
  get goneAt(): ReadonlyMap<string, number> {
    return this.#goneAt;
  }

  /** How often instances that are gone came into use again behind a balancer. */
  returnsBehind({ rotation }: Balancer): number {
    return [...this.#goneAt].reduce((sum, [address, at]) => sum + rotation.returnsOf(address, at), 0);
  }

  /** Notes that requests to the instances of these hosts are useless from now on. */
  gone(...hosts: readonly InstanceHost[]): void {
    for (const address of hosts.flatMap(addressesOf)) this.#goneAt.set(address, performance.now());
  }

  /** Requests and servers in use are counted from now on. */
  async count(): Promise<void> {
    await this.pace.counted(this);
    for (const { load, rotation } of this.balancers) {
      load.count();
      rotation.count();
    }
  }

  /** Ends the nerve of a host, by default in order, and waits until it has ended. */
  async stopNerve(host: InstanceHost, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#nerves.get(host)?.end(signal);
  }

  /** A host dies with its nerve and its instances. */
  async die(host: InstanceHost): Promise<void> {
    await this.stopNerve(host, 'SIGKILL');
    await host.die();
  }

  /** Between all nerves and etcd nothing passes any more. */
  cutOffNerves(): void {
    for (const proxy of this.etcd.proxies) proxy.blackhole();
  }

  async healNerves(): Promise<void> {
    for (const proxy of this.etcd.proxies) await proxy.heal();
  }

  /** etcd refuses the synapses. */
  async cutOffSynapses(): Promise<void> {
    for (const proxy of this.#synapseProxies) await proxy.refuse();
  }

  async healSynapses(): Promise<void> {
    for (const proxy of this.#synapseProxies) await proxy.heal();
  }

  /** Ends everything. */
  stop(): Promise<void> {
    return this.#parts.stop();
  }
}

/** The addresses of a host's instances, `host:port`. */
export function addressesOf({ address, ports }: InstanceHost): readonly string[] {
  return ports.map((port) => `${address}:${port}`);
}

/** The keys of a host's instances, announced under the name of the host. */
export function keysOf(host: InstanceHost): readonly string[] {
  return addressesOf(host).map((address) => `/nerve/services/api/${host.name}_${address}`);
}

/** Announces the instances of a host by hand; `lease` is an id of etcd. */
export async function announce(
  { etcd }: Pick<Site, 'etcd'>,
  { address, ports, name: hostName }: InstanceHost,
  { service = 'api', name = hostName, lease = '0' } = {},
): Promise<void> {
  for (const port of ports) {
    const instance = makeInstance({ name, host: address, port });
    await put(etcd.direct, `/nerve/services/${service}/${instance.id}`, formatInstance(instance), lease);
  }
}

/** Starts everything, and the requests. @throws when a part does not run; nothing is left behind then */
export async function startSite(shape: SiteShape, options: SiteOptions): Promise<Site> {
  const parts = new Parts();
  try {
    await parts.start(shape, options);
    const site = new Site(options.pace, parts);
    const total = shape.hosts.reduce((sum, count) => sum + count, 0);
    for (const balancer of site.balancers) await balancer.inUse(total);
    for (const { load } of site.balancers) load.start();
    return site;
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

/** The processes of a site. */
class Parts {
  etcd: ProxiedCluster | undefined;
  readonly synapseProxies: FaultProxy[] = [];
  readonly hosts: InstanceHost[] = [];
  readonly nerves = new Map<InstanceHost, TestDaemon>();
  readonly balancers: Balancer[] = [];
  #folder: string | undefined;

  async start(shape: SiteShape, { members, etcdVersion = '3.5', perSecond, dist }: SiteOptions): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'lost-leases-'));
    this.etcd = await startProxiedCluster(etcdVersion, { size: members, flags: shape.etcdFlags ?? [] });
    for (const url of this.etcd.cluster.urls) this.synapseProxies.push(await startFaultProxy(portOf(url)));
    const ports = await freePorts(shape.hosts.reduce((sum, count) => sum + count, 0));
    let next = 0;
    for (const [index, count] of shape.hosts.entries()) {
      const options = { name: `h${index + 1}`, ports: ports.slice(next, next + count) };
      next += count;
      this.hosts.push(
        shape.networks === true
          ? await startNetworkHost('api', options)
          : await startLocalHost('api', { ...options, address: `127.1.0.${index + 1}` }),
      );
    }
    const { etcd } = this;
    const daemons = dist === undefined ? {} : { dist };
    if (shape.announced === 'by nerves') {
      await Promise.all(this.hosts.map((host) => this.#startNerve(host, shape, daemons)));
    } else {
      const lease = shape.announced === 'under one lease' ? await grantLease(etcd.direct, 3_600) : '0';
      for (const host of this.hosts) await announce({ etcd }, host, { lease });
    }
    const etcdHosts = addressesAt(this.synapseProxies);
    const start = async (check: boolean): Promise<void> => {
      this.balancers.push(await startBalancer({ check, etcdHosts, perSecond, ...daemons }));
    };
    await Promise.all([start(true), start(false)]);
    this.balancers.sort((a, b) => Number(b.check) - Number(a.check));
  }

  async stop(): Promise<void> {
    await Promise.all(this.balancers.map((balancer) => balancer.stop()));
    await Promise.all([...this.nerves.values()].map((nerve) => nerve.end('SIGKILL')));
    await Promise.all(this.hosts.map((host) => host.close()));
    for (const proxy of this.synapseProxies) await proxy.close();
    await this.etcd?.close();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }

  async #startNerve(
    host: InstanceHost,
    { ttlSeconds = usualTtlSeconds }: SiteShape,
    daemons: { dist?: string },
  ): Promise<void> {
    const services = host.ports.map((port, index) => [
      `api-${index + 1}`,
      {
        host: host.address,
        port,
        etcd_path: '/nerve/services/api',
        check_interval: 1,
        checks: [{ type: 'http', uri: '/health', timeout: `${patienceMs}ms`, rise: 1, fall: 2 }],
      },
    ]);
    const value = {
      instance_id: host.name,
      ttl: ttlSeconds,
      etcd: { hosts: addressesAt(this.etcd?.proxies ?? []) },
      admin: { listen: '127.0.0.1:0', control_socket: false },
      state_file_path: false,
      services: Object.fromEntries(services),
    };
    const file = join(this.#folder as string, `${host.name}.json`);
    await writeFile(file, JSON.stringify(value));
    this.nerves.set(host, await startDaemon('nerve', file, daemons));
  }
}

function addressesAt(proxies: readonly FaultProxy[]): readonly string[] {
  return proxies.map(({ port }) => `127.0.0.1:${port}`);
}
