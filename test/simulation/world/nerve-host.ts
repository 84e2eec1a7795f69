import { createEtcdClient } from '../../../common/etcd/client/client.ts';
import { makeInstance } from '../../../common/instance.ts';
import type { Announcer } from '../../../nerve/announce/announcer.ts';
import { OperatorStore } from '../../../nerve/announce/operator-store.ts';
import type { NerveConfig } from '../../../nerve/config/config.ts';
import type { ServiceConfig } from '../../../nerve/config/service-config.ts';
import type { FleetWaitOptions, InstanceProgress } from '../../../nerve/fleet-wait.ts';
import { FleetWaits } from '../../../nerve/fleet-waits.ts';
import { Nerve } from '../../../nerve/nerve.ts';
import { RegistryClients } from '../../../nerve/registry-clients.ts';
import { nerveConfig, serviceConfig } from '../../support/daemons/nerve-service.ts';
import { SimulatedDisk } from '../engine/disk.ts';
import type { Network } from '../engine/network.ts';
import type { Scheduler, SimulatedProcess } from '../engine/scheduler.ts';
import type { SimulatedEtcd } from '../etcd/cluster.ts';
import { simulatedDial } from '../etcd/dial.ts';
import type { History } from './history.ts';
import type { SimulatedInstance } from './instances.ts';

/** How the nerves of a run are configured. */
export interface NerveSettings {
  readonly ttlSeconds: number;
  readonly checkIntervalMs: number;
  readonly rise: number;
  readonly fall: number;
}

/** Where the synapses of a run take part in the fleet: the default. */
export const fleetPath = '/smartstack/fleet';

/** A call that a nerve made and that etcd answered. */
export type OnAnswer = (nerve: SimulatedProcess, method: string, request: unknown, response: unknown) => void;

/** A host with a nerve and the instances it announces. The disk outlives the nerve. */
export class NerveHost {
  readonly name: string;
  /** The `instance_id` of its nerve: the name of the host, or of the host that it was moved from. */
  readonly identity: string;
  readonly instances: readonly SimulatedInstance[];
  /** Ids of instances that are configured now; others are withdrawn. */
  readonly configured: Set<SimulatedInstance>;
  process: SimulatedProcess | undefined;
  /** It has been told to stop. */
  stopping = false;
  /** When its nerve last ended, in virtual milliseconds. */
  endedAt = Number.NEGATIVE_INFINITY;
  /** When its configuration last changed, or an operator drained or undrained something, in virtual milliseconds. */
  configuredAt = 0;
  /** Processes that were told to stop, and had not ended a while later. */
  readonly unended: string[] = [];
  /** Processes that withdrew everything and revoked their leases before they ended; the others were killed. */
  readonly endedInOrder = new WeakSet<SimulatedProcess>();
  readonly #scheduler: Scheduler;
  readonly #network: Network;
  readonly #etcd: SimulatedEtcd;
  readonly #history: History;
  readonly #settings: NerveSettings;
  readonly #disk: SimulatedDisk;
  readonly #onAnswer: OnAnswer;
  #nerve: Nerve | undefined;
  #waits: FleetWaits | undefined;
  #stop: AbortController | undefined;
  #member: () => string | undefined = () => undefined;
  #starts = 0;

  constructor(
    name: string,
    instances: readonly SimulatedInstance[],
    world: {
      readonly scheduler: Scheduler;
      readonly network: Network;
      readonly etcd: SimulatedEtcd;
      readonly history: History;
      readonly settings: NerveSettings;
      readonly onAnswer: OnAnswer;
    },
    identity = name,
  ) {
    this.name = name;
    this.identity = identity;
    this.instances = instances;
    this.configured = new Set(instances);
    this.#onAnswer = world.onAnswer;
    this.#scheduler = world.scheduler;
    this.#network = world.network;
    this.#etcd = world.etcd;
    this.#history = world.history;
    this.#settings = world.settings;
    this.#disk = new SimulatedDisk(world.scheduler, ['/var/lib/nerve']);
  }

  get running(): boolean {
    return this.process?.alive === true;
  }

  /** The address of the member of etcd that its nerve uses now. */
  get member(): string | undefined {
    return this.#member();
  }

  /** Since when the nerve has run without interruption; undefined while it does not. */
  get runsSince(): number | undefined {
    return this.process?.alive && !this.process.frozen ? this.process.runsSince : undefined;
  }

  /** The key and the id of an instance, as its nerve announces it. */
  keyOf({ service, address }: SimulatedInstance): string {
    return `/nerve/services/${service}/${this.identity}_${address}`;
  }

  start(): void {
    if (this.running) return;
    this.#starts += 1;
    this.stopping = false;
    const process = this.#scheduler.process(`nerve ${this.#starts} on ${this.name}`);
    this.process = process;
    const stop = new AbortController();
    this.#stop = stop;
    const log = this.#history.log(`nerve ${this.name}`, this.#history.level);
    const onAnswer = this.#onAnswer.bind(undefined, process);
    const dial = simulatedDial(this.#scheduler, this.#network, this.#etcd, { host: this.name, process, onAnswer });
    const openEtcd: typeof createEtcdClient = (options, deps, signal) =>
      createEtcdClient(options, { ...deps, dial }, signal);
    const clients = new RegistryClients({ log, openEtcd }, stop.signal);
    this.#scheduler.at(
      0,
      async () => {
        const operator = await OperatorStore.open('/var/lib/nerve/state.json', { log, files: this.#disk.files });
        const connect = (...registry: Parameters<RegistryClients['connect']>): Announcer => {
          const announcer = clients.connect(...registry);
          this.#member = () => clients.clientOf(announcer)?.status.member;
          return announcer;
        };
        const nerve = new Nerve({ log, operator, connect });
        const config = () => ({ fleet: { path: fleetPath }, instanceId: this.identity });
        this.#waits = new FleetWaits({ nerve, clients, log, config });
        this.#nerve = nerve;
        nerve.apply(this.#config());
      },
      process,
    );
  }

  /** Ends it cleanly: withdraws everything. */
  stop(): void {
    const { process } = this;
    const nerve = this.#nerve;
    const stop = this.#stop;
    if (process === undefined || nerve === undefined) return;
    this.#nerve = undefined;
    this.stopping = true;
    this.#scheduler.at(
      0,
      async () => {
        await nerve.close(5_000);
        stop?.abort();
        this.#scheduler.at(
          100,
          () => {
            if (process.timersThatHold > 0) this.unended.push(`${process.name} has ${process.timersThatHold} timers`);
            this.endedInOrder.add(process);
            this.#ended(process);
          },
          process,
        );
      },
      process,
    );
  }

  kill(): void {
    if (this.process !== undefined) this.#ended(this.process);
  }

  /** Reads the configuration again, as SIGHUP does. */
  reload(): void {
    this.configuredAt = this.#scheduler.now();
    const nerve = this.#nerve;
    if (nerve !== undefined) this.#scheduler.at(0, () => nerve.apply(this.#config()), this.process);
  }

  /** An operator drains the instances of a service, or ends that. @returns false when there is no nerve that could be told */
  drain(service: string, drained: boolean): boolean {
    const nerve = this.#nerve;
    const { process } = this;
    const has = (): boolean => [...(nerve?.services.values() ?? [])].some(({ config }) => config.service === service);
    if (nerve === undefined || process === undefined || !has()) return false;
    this.configuredAt = this.#scheduler.now();
    this.#scheduler.at(
      0,
      () => {
        if (has()) nerve.drain(service, drained);
      },
      process,
    );
    return true;
  }

  /** Whether an operator has drained the instance, as far as its nerve knows; undefined without a nerve that could say it. */
  isDrained(instance: SimulatedInstance): boolean | undefined {
    return this.#nerve?.isDrained(nameOf(instance));
  }

  /**
   * Waits until all proxies have the instances of a service as expected. `done` is called with what was found, unless the process
   * ends before.
   */
  waitForProxies(service: string, options: FleetWaitOptions, done: (found: readonly InstanceProgress[]) => void): void {
    const [nerve, waits, stop] = [this.#nerve, this.#waits, this.#stop];
    if (nerve === undefined || waits === undefined || stop === undefined) return;
    const wait = async (): Promise<void> => {
      const services = [...nerve.services.values()].filter(({ config }) => config.service === service);
      const found = await waits.wait(services, options, () => {}, stop.signal);
      this.#scheduler.at(0, () => done(found));
    };
    this.#scheduler.at(0, () => void wait(), this.process);
  }

  #ended(process: SimulatedProcess): void {
    process.kill();
    this.endedAt = this.#scheduler.now();
    this.#network.ended(process);
    this.#nerve = undefined;
    if (this.process === process) this.process = undefined;
  }

  #config(): NerveConfig {
    const services = [...this.configured].map((instance) => this.#service(instance));
    return nerveConfig(services, {
      etcd: { hosts: this.#etcd.urls },
      ttlSeconds: this.#settings.ttlSeconds,
    });
  }

  #service(simulated: SimulatedInstance): ServiceConfig {
    const { checkIntervalMs, rise, fall } = this.#settings;
    const colon = simulated.address.lastIndexOf(':');
    const instance = makeInstance({
      name: this.identity,
      host: simulated.address.slice(0, colon),
      port: Number(simulated.address.slice(colon + 1)),
    });
    const probe = async (): Promise<void> => {
      if (!simulated.running) throw new Error('nothing listens');
      if (!simulated.healthy) throw new Error('HTTP 503');
    };
    return serviceConfig(nameOf(simulated), [probe], {
      service: simulated.service,
      instance,
      key: this.keyOf(simulated),
      check: { intervalMs: checkIntervalMs, fastIntervalMs: checkIntervalMs, rise, fall, jitter: 0.1 },
    });
  }
}

/** The name of an instance in the configuration of its nerve. */
function nameOf({ service, address }: SimulatedInstance): string {
  return `${service}-${address.slice(address.lastIndexOf(':') + 1)}`;
}
