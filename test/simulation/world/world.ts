import type { SynapseConfig } from '../../../synapse/config/config.ts';
import { Network } from '../engine/network.ts';
import { Scheduler, type SimulatedProcess } from '../engine/scheduler.ts';
import { SimulatedEtcd } from '../etcd/cluster.ts';
import { type EtcdBehaviour, etcd34, etcd35 } from '../etcd/member.ts';
import type { Committed } from '../etcd/store.ts';
import { History } from './history.ts';
import { Instances, type SimulatedInstance } from './instances.ts';
import { NerveHost, type NerveSettings, type OnAnswer } from './nerve-host.ts';
import { ProxyHost } from './proxy-host.ts';
import { synapseConfig } from './synapse-config.ts';

/** What a run consists of; by default chosen by its seed. */
export interface WorldSettings {
  readonly behaviour: EtcdBehaviour;
  readonly nerve: NerveSettings;
  /** Services, each with as many instances as there are hosts of it. */
  readonly services: readonly { readonly name: string; readonly hosts: number }[];
  /** Several instances on one host belong to one lease. */
  readonly instancesPerHost: number;
  readonly proxies: number;
  /** Servers have `check`. */
  readonly check: boolean;
  readonly haproxyVersion: string;
  /** Instances of another service may come to the address of one that has gone. */
  readonly reused: boolean;
  /** The share of instances that are sick at first, and have never been announced when they become well. */
  readonly sickAtFirst: number;
  /** Some requests are long, and some connections are kept open for the next request. */
  readonly lastingClients: boolean;
  /** Operators drain instances, and wait for every proxy. */
  readonly drains: boolean;
}

/** A simulated site: three members of etcd, hosts with nerves and instances. */
export class World {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly history: History;
  readonly etcd: SimulatedEtcd;
  readonly instances: Instances;
  readonly nerves: readonly NerveHost[];
  /** Each nerve → where it runs too while it is moved to another host: the same identity, keys and instances. */
  readonly twins: ReadonlyMap<NerveHost, NerveHost>;
  /** Key → when somebody else than its nerve last wrote or deleted it, in virtual milliseconds. */
  readonly touched = new Map<string, number>();
  /** Called when a lease has ended. */
  onLeaseEnd: (lease: string) => void = () => {};
  /** Called when a call of a nerve was answered. */
  onAnswer: OnAnswer = () => {};
  readonly proxies: readonly ProxyHost[];
  readonly settings: WorldSettings;

  readonly #onCommit: ((committed: Committed, by: SimulatedProcess | undefined) => void)[] = [];

  /** Makes a world whose every choice depends on the seed. */
  static async create(seed: number, given?: Partial<WorldSettings>): Promise<World> {
    const scheduler = new Scheduler(seed);
    const settings = { ...chooseSettings(scheduler.random), ...(given && { ...calm, ...given }) };
    return new World(scheduler, settings, await synapseConfig(settings));
  }

  private constructor(scheduler: Scheduler, settings: WorldSettings, config: SynapseConfig) {
    this.scheduler = scheduler;
    this.settings = settings;
    this.network = new Network(this.scheduler);
    this.history = new History(this.scheduler);
    this.instances = new Instances(this.network, this.scheduler);
    this.etcd = new SimulatedEtcd(this.scheduler, this.network, {
      hosts: ['etcd-1', 'etcd-2', 'etcd-3'],
      behaviour: this.settings.behaviour,
    });
    this.etcd.onLeaseEnd = (lease, how, keys) => {
      this.onLeaseEnd(lease);
      this.history.note(`etcd: lease ${BigInt(lease).toString(16)} ${how}, with ${keys.join(' ') || 'no keys'}`);
    };
    this.etcd.onCommit = (committed, by) => {
      const { revision, events } = committed;
      const whose = by === undefined ? '' : ` by ${by.name}`;
      for (const { type, kv } of events) this.history.note(`etcd ${revision}: ${type} ${kv.key} ${kv.value}${whose}`);
      for (const listener of this.#onCommit) listener(committed, by);
    };
    this.nerves = this.#makeNerves();
    this.twins = new Map(this.nerves.map((nerve) => [nerve, this.#makeTwin(nerve)]));
    this.proxies = Array.from({ length: settings.proxies }, (_, index) => {
      const { network, history, etcd, instances } = this;
      const { haproxyVersion, lastingClients } = settings;
      return new ProxyHost(`proxy-${index + 1}`, {
        scheduler,
        network,
        history,
        etcd,
        instances,
        config,
        haproxyVersion,
        lastingClients,
      });
    });
  }

  /** Hosts that talk to etcd. */
  get hosts(): readonly string[] {
    return [...this.nerves, ...this.proxies].map(({ name }) => name);
  }

  /** The nerve beside an instance. */
  nerveOf({ host }: SimulatedInstance): NerveHost {
    const nerve = this.nerves.find(({ name }) => name === host);
    if (nerve === undefined) throw new Error(`there is no host ${host}`);
    return nerve;
  }

  /** Calls `listener` with each change in etcd, and the client that made it. */
  onCommit(listener: (committed: Committed, by: SimulatedProcess | undefined) => void): void {
    this.#onCommit.push(listener);
  }

  /** Until when a nerve may have shared its keys with its twin: infinity while that runs; its lease may outlive it. */
  sharedUntil(nerve: NerveHost): number {
    const twin = this.twins.get(nerve);
    if (twin === undefined) return Number.NEGATIVE_INFINITY;
    return twin.running ? Number.POSITIVE_INFINITY : twin.endedAt + 2_000 * this.settings.nerve.ttlSeconds;
  }

  #makeTwin({ name, instances }: NerveHost): NerveHost {
    return new NerveHost(`${name}-moved`, instances, this.#nerveWorld(), name);
  }

  #nerveWorld() {
    const { scheduler, network, etcd, history } = this;
    const onAnswer: OnAnswer = (...answer) => this.onAnswer(...answer);
    return { scheduler, network, etcd, history, settings: this.settings.nerve, onAnswer };
  }

  #makeNerves(): readonly NerveHost[] {
    const { services, instancesPerHost, reused, sickAtFirst } = this.settings;
    const hosts: NerveHost[] = [];
    for (const { name: service, hosts: count } of services) {
      for (let index = 0; index < count; index += 1) {
        const name = `app-${hosts.length + 1}`;
        const ip = `10.0.1.${hosts.length + 1}`;
        const instances = Array.from({ length: instancesPerHost }, (_, at) =>
          this.instances.add(service, name, ip, 3_000 + at),
        );
        // Instances of another service that may come to these addresses later.
        const other = reused ? services.find((one) => one.name !== service)?.name : undefined;
        const later =
          other === undefined ? [] : instances.map((_, at) => this.instances.add(other, name, ip, 3_000 + at));
        const nerve = new NerveHost(name, [...instances, ...later], this.#nerveWorld());
        for (const instance of later) nerve.configured.delete(instance);
        hosts.push(nerve);
      }
    }
    for (const instance of this.instances.all.filter(({ running }) => running).slice(1)) {
      if (this.scheduler.random() >= sickAtFirst) continue;
      this.instances.change(instance, { healthy: false });
      this.scheduler.at(15_000 + this.scheduler.random() * 100_000, () => {
        if (instance.running) this.instances.change(instance, { healthy: true });
      });
    }
    return hosts;
  }
}

/** What a world with settings of its own does not have, unless they say so. */
const calm = { reused: false, sickAtFirst: 0, lastingClients: false, drains: false } as const;

function chooseSettings(random: () => number): WorldSettings {
  const pick = <T>(...values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  return {
    behaviour: pick(etcd34, etcd35),
    nerve: {
      ttlSeconds: pick(5, 10, 15),
      checkIntervalMs: pick(500, 1_000, 2_000),
      rise: pick(1, 2),
      fall: pick(1, 2),
    },
    services: [
      { name: 'api', hosts: pick(2, 3, 4) },
      { name: 'web', hosts: pick(1, 2) },
    ],
    instancesPerHost: pick(1, 1, 2),
    proxies: pick(1, 1, 2, 3),
    check: pick(true, false),
    haproxyVersion: pick('2.6.12', '3.0.11', '3.2.26', '3.4.7'),
    reused: true,
    sickAtFirst: pick(0, 0.3),
    lastingClients: pick(true, false),
    drains: pick(true, true, false),
  };
}
