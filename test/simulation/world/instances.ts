import type { Network } from '../engine/network.ts';
import type { Scheduler } from '../engine/scheduler.ts';
import type { Reachability } from '../haproxy/server.ts';

/** One copy of a service on a simulated host. */
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
  readonly all = new Map<string, SimulatedInstance>();
  /** Host names by IP address. */
  readonly hosts = new Map<string, string>();
  /** Hosts that are down: nothing answers there. */
  readonly dead = new Set<string>();
  readonly #network: Network;
  readonly #scheduler: Scheduler;

  constructor(network: Network, scheduler: Scheduler) {
    this.#network = network;
    this.#scheduler = scheduler;
  }

  add(service: string, host: string, ip: string, port: number): SimulatedInstance {
    const address = `${ip}:${port}`;
    const instance = { service, host, address, running: true, healthy: true, changedAt: this.#scheduler.now() };
    this.hosts.set(ip, host);
    this.all.set(address, instance);
    return instance;
  }

  change(instance: SimulatedInstance, now: Partial<Pick<SimulatedInstance, 'running' | 'healthy'>>): void {
    Object.assign(instance, now);
    instance.changedAt = this.#scheduler.now();
  }

  /** What a connection from a host to an address meets. */
  reach(from: string, address: string): Reachability {
    const host = this.hosts.get(address.slice(0, address.lastIndexOf(':')));
    if (host === undefined || this.dead.has(host)) return 'silent';
    if (this.#network.isCut(from, host) || this.#network.isCut(host, from)) return 'silent';
    const instance = this.all.get(address);
    return instance?.running ? 'answers' : 'refused';
  }
}
