import type { Network } from '../engine/network.ts';
import type { Scheduler } from '../engine/scheduler.ts';
import type { Reachability } from '../haproxy/server.ts';

/** One copy of a service on a simulated host. Several may have one address, one after the other. */
export interface SimulatedInstance {
  readonly service: string;
  readonly host: string;
  readonly address: string;
  /** Its process listens. */
  running: boolean;
  /** It answers well; a sick one accepts connections and fails. */
  healthy: boolean;
  /** Since when it has been as it is. */
  changedAt: number;
}

/** What listens where. */
export class Instances {
  readonly all: SimulatedInstance[] = [];
  /** Host names by IP address. */
  readonly hosts = new Map<string, string>();
  /** Hosts that are down: nothing answers there. */
  readonly dead = new Set<string>();
  readonly #byAddress = new Map<string, SimulatedInstance[]>();
  readonly #network: Network;
  readonly #scheduler: Scheduler;

  constructor(network: Network, scheduler: Scheduler) {
    this.#network = network;
    this.#scheduler = scheduler;
  }

  /** Adds an instance, which runs unless another one does at its address. */
  add(service: string, host: string, ip: string, port: number): SimulatedInstance {
    const address = `${ip}:${port}`;
    const others = this.#byAddress.get(address) ?? [];
    const running = !others.some((other) => other.running);
    const instance = { service, host, address, running, healthy: true, changedAt: this.#scheduler.now() };
    this.hosts.set(ip, host);
    this.all.push(instance);
    this.#byAddress.set(address, [...others, instance]);
    return instance;
  }

  change(instance: SimulatedInstance, now: Partial<Pick<SimulatedInstance, 'running' | 'healthy'>>): void {
    if (now.running && this.#byAddress.get(instance.address)?.some((other) => other !== instance && other.running)) {
      throw new Error(`something else listens at ${instance.address}`);
    }
    Object.assign(instance, now);
    instance.changedAt = this.#scheduler.now();
  }

  /** The instance that listens at an address. */
  at(address: string): SimulatedInstance | undefined {
    return this.#byAddress.get(address)?.find(({ running }) => running);
  }

  /** What a connection from a host to an address meets. */
  reach(from: string, address: string): Reachability {
    const host = this.hosts.get(address.slice(0, address.lastIndexOf(':')));
    if (host === undefined || this.dead.has(host)) return 'silent';
    if (this.#network.isCut(from, host) || this.#network.isCut(host, from)) return 'silent';
    return this.at(address) === undefined ? 'refused' : 'answers';
  }
}
