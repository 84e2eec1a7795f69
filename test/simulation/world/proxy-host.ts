import { onAbort } from '../../../common/async/abort.ts';
import { createEtcdClient } from '../../../common/etcd/client/client.ts';
import type { ConnectResult, Host, TcpAddress } from '../../../common/host.ts';
import type { SynapseConfig } from '../../../synapse/config/config.ts';
import { LocalHaproxy } from '../../../synapse/haproxy/haproxy.ts';
import { Synapse } from '../../../synapse/synapse.ts';
import { SimulatedDisk } from '../engine/disk.ts';
import type { Network } from '../engine/network.ts';
import type { Scheduler, SimulatedProcess } from '../engine/scheduler.ts';
import type { SimulatedEtcd } from '../etcd/cluster.ts';
import { simulatedDial } from '../etcd/dial.ts';
import { SimulatedHaproxy } from '../haproxy/haproxy.ts';
import { Clients } from './clients.ts';
import type { History } from './history.ts';
import type { Instances } from './instances.ts';

/** Paths on a proxy host; the configuration names them. */
export const proxyPaths = {
  configPath: '/etc/haproxy/haproxy.cfg',
  socketPath: '/run/haproxy/admin.sock',
  masterPath: '/run/haproxy/master.sock',
  stateFile: '/var/lib/synapse/state.json',
} as const;

/** Where the files are; each may be on a file system of its own. */
export const proxyFolders = { config: '/etc/haproxy', state: '/var/lib/synapse' } as const;

/** A change without effect is tried once more this often (`bookkeeping.ts`), within this time, before a reload. */
const tries = 2;
const triesMs = 30_000;

/** What another program has changed in HAProxy is noticed when everything is read again. */
const touchMs = 12_000;

/** How long a synapse may take to stop, milliseconds. */
const stopWithinMs = 5_000;

/** What a proxy host is made from. */
export interface ProxyWorld {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly etcd: SimulatedEtcd;
  readonly history: History;
  readonly instances: Instances;
  readonly config: SynapseConfig;
  readonly haproxyVersion: string;
  /** Some requests are long, and some connections are kept open. */
  readonly lastingClients: boolean;
}

/** A host with an HAProxy, the synapse beside it, and clients. The disk outlives both. */
export class ProxyHost {
  readonly name: string;
  readonly disk: SimulatedDisk;
  readonly haproxy: SimulatedHaproxy;
  readonly clients: Clients;
  process: SimulatedProcess | undefined;
  /** Its synapse has been told to stop. */
  stopping = false;
  synapse: Synapse | undefined;
  /** Processes that were told to stop, and had not ended a while later. */
  readonly unended: string[] = [];
  /** The reasons of each reload that synapse has asked for. */
  readonly reloads: (readonly string[])[] = [];
  /** Reasons of reloads that HAProxy gave no cause for. */
  readonly needlessReloads: string[] = [];
  /** Addresses whose servers an operator has put into maintenance. */
  readonly heldByHand = new Set<string>();
  readonly #world: ProxyWorld;
  #stop: AbortController | undefined;
  #starts = 0;

  constructor(name: string, world: ProxyWorld) {
    this.name = name;
    this.#world = world;
    const { scheduler, instances, config, haproxyVersion: version, lastingClients: lasting } = world;
    this.disk = new SimulatedDisk(scheduler, ['/etc/haproxy', '/run/haproxy', '/var/lib/synapse']);
    this.disk.plant(proxyPaths.configPath, `global\n\tstats socket ${proxyPaths.socketPath} level admin\n`);
    const look = (address: string) => instances.reach(name, address);
    this.haproxy = new SimulatedHaproxy(scheduler, name, this.disk, look, { version, ...proxyPaths });
    this.haproxy.onReload = (loaded) =>
      world.history.note(`haproxy on ${name}: reload ${loaded ? 'loaded' : 'FAILED'}`);
    this.haproxy.onCommand = (pid, command, reply) => {
      if (command !== 'prompt')
        world.history.note(`haproxy ${pid} on ${name}: ${command}${reply === '' ? '' : ` → ${reply}`}`);
    };
    this.haproxy.start();
    const services = [...config.services.keys()];
    const { haproxy } = this;
    this.clients = new Clients(scheduler, { host: name, haproxy, instances, services, everyMs: 250, lasting });
  }

  get running(): boolean {
    return this.process?.alive === true;
  }

  /** HAProxy runs, and sends requests for a service to this address. */
  uses(service: string, address: string): boolean {
    const servers = this.haproxy.worker?.serversOf(service) ?? [];
    return servers.some((server) => server.address === address && server.usable);
  }

  /** An operator, or another program, has the server of this address as it is, or had so lately. */
  isTouched(address: string): boolean {
    return (
      this.heldByHand.has(address) ||
      this.#world.scheduler.now() - this.haproxy.changesByOthers.touchedAt(address) < touchMs
    );
  }

  start(): void {
    if (this.running) return;
    this.#starts += 1;
    this.stopping = false;
    const { scheduler, network, etcd, history, config } = this.#world;
    const process = scheduler.process(`synapse ${this.#starts} on ${this.name}`);
    this.process = process;
    const stop = new AbortController();
    this.#stop = stop;
    const log = history.log(`synapse ${this.name}`, history.level);
    const dial = simulatedDial(scheduler, network, etcd, { host: this.name, process });
    const host: Host = {
      files: this.disk.files,
      exec: async ([program, ...args]) => {
        if (args.includes('-c')) return this.haproxy.check(String(args.at(-1)));
        if (args.includes('-v')) {
          return { code: 0, signal: null, stdout: `HAProxy version ${this.haproxy.options.version}\n`, stderr: '' };
        }
        throw new Error(`there is no ${program} on a simulated host`);
      },
      connectUnix: (path) => this.haproxy.connect(path, process),
      tryConnect: (address, signal) => this.#tryConnect(address, process, signal),
      lookUpName: async (name) => {
        throw new Error(`there is no name server for ${name} on a simulated host`);
      },
      ownAddresses: () => ['127.0.0.1'],
    };
    scheduler.at(
      0,
      () => {
        const fleet = config.fleet && { ...config.fleet, id: this.name };
        const synapse = new Synapse(
          { ...config, fleet },
          {
            log,
            host,
            openEtcd: (options, deps, signal) => createEtcdClient(options, { ...deps, dial }, signal),
            createHaproxy: (haproxy, { log }, signal) =>
              new LocalHaproxy(
                haproxy,
                {
                  log,
                  host,
                  onEvent: (event) => {
                    if (event.type === 'reloading') this.#reloading(event.reasons);
                  },
                },
                signal,
              ),
          },
        );
        this.synapse = synapse;
        void synapse.run(stop.signal);
      },
      process,
    );
  }

  /** A reload is asked for. A reason for nothing: HAProxy would have done it, had synapse tried as often as it may. */
  #reloading(reasons: readonly string[]): void {
    this.reloads.push(reasons);
    const since = this.#world.scheduler.now() - triesMs;
    for (const reason of reasons) {
      const target = /^HAProxy does not \w+ (\S+) at run time$/.exec(reason)?.[1];
      if (target !== undefined && this.haproxy.changesByOthers.turnsSince(target, since) <= tries)
        this.needlessReloads.push(reason);
    }
  }

  /** Ends it cleanly; HAProxy goes on. */
  stop(): void {
    const { process } = this;
    if (process === undefined) return;
    this.stopping = true;
    const { scheduler } = this.#world;
    scheduler.at(
      0,
      () => {
        this.#stop?.abort();
        const endsAt = scheduler.now() + stopWithinMs;
        const end = (): void => {
          // One that was frozen meanwhile has had no time.
          const isLate = scheduler.now() > endsAt + 1;
          if (process.timersThatHold > 0 && !isLate) {
            this.unended.push(`${process.name} has ${process.timersThatHold} timers`);
          }
          this.#ended(process);
        };
        scheduler.at(stopWithinMs, end, process);
      },
      process,
    );
  }

  kill(): void {
    if (this.process !== undefined) this.#ended(this.process);
  }

  /** One TCP connection: what does not answer takes until the caller's time is over. */
  #tryConnect({ host, port }: TcpAddress, process: SimulatedProcess, signal: AbortSignal): Promise<ConnectResult> {
    const { scheduler, instances } = this.#world;
    return new Promise((resolve) => {
      const release = onAbort(signal, () => resolve('silent'));
      scheduler.at(
        0.2 + scheduler.random(),
        () => {
          const result = instances.reach(this.name, `${host}:${port}`);
          if (result === 'silent' || signal.aborted) return;
          release();
          resolve(result);
        },
        process,
      );
    });
  }

  #ended(process: SimulatedProcess): void {
    process.kill();
    this.#world.network.ended(process);
    if (this.process !== process) return;
    this.process = undefined;
    this.synapse = undefined;
  }
}
