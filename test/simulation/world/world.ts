import type { SynapseConfig } from '../../../synapse/config/config.ts';
import { Network } from '../engine/network.ts';
import { Scheduler } from '../engine/scheduler.ts';
import { SimulatedEtcd } from '../etcd/cluster.ts';
import { type EtcdBehaviour, etcd34, etcd35 } from '../etcd/member.ts';
import { History } from './history.ts';
import { Instances } from './instances.ts';
import { NerveHost, type NerveSettings } from './nerve-host.ts';
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
}

/** A simulated site: three members of etcd, hosts with nerves and instances. */
export class World {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly history: History;
  readonly etcd: SimulatedEtcd;
  readonly instances: Instances;
  readonly nerves: readonly NerveHost[];
  readonly proxies: readonly ProxyHost[];
  readonly settings: WorldSettings;

  /** Makes a world whose every choice depends on the seed. */
  static async create(seed: number, given?: Partial<WorldSettings>): Promise<World> {
    const scheduler = new Scheduler(seed);
    const settings = { ...chooseSettings(scheduler.random), ...given };
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
      this.history.note(`etcd: lease ${BigInt(lease).toString(16)} ${how}, with ${keys.join(' ') || 'no keys'}`);
    };
    this.etcd.onCommit = ({ revision, events }) => {
      for (const { type, kv } of events) this.history.note(`etcd ${revision}: ${type} ${kv.key} ${kv.value}`);
    };
    this.nerves = this.#makeNerves();
    this.proxies = Array.from({ length: settings.proxies }, (_, index) => {
      const { network, history, etcd, instances } = this;
      const { haproxyVersion } = settings;
      return new ProxyHost(`proxy-${index + 1}`, {
        scheduler,
        network,
        history,
        etcd,
        instances,
        config,
        haproxyVersion,
      });
    });
  }

  /** Hosts that talk to etcd. */
  get hosts(): readonly string[] {
    return [...this.nerves, ...this.proxies].map(({ name }) => name);
  }

  #makeNerves(): readonly NerveHost[] {
    const { services, instancesPerHost, nerve: settings } = this.settings;
    const { scheduler, network, etcd, history } = this;
    const hosts: NerveHost[] = [];
    for (const { name: service, hosts: count } of services) {
      for (let index = 0; index < count; index += 1) {
        const name = `app-${hosts.length + 1}`;
        const ip = `10.0.1.${hosts.length + 1}`;
        const instances = Array.from({ length: instancesPerHost }, (_, at) =>
          this.instances.add(service, name, ip, 3_000 + at),
        );
        hosts.push(new NerveHost(name, instances, { scheduler, network, etcd, history, settings }));
      }
    }
    return hosts;
  }
}

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
    proxies: pick(1, 2),
    check: pick(true, false),
    haproxyVersion: pick('2.6.12', '3.0.11', '3.2.26', '3.4.7'),
  };
}
