import { hostname } from 'node:os';
import type { Log } from '../common/daemon/log.ts';
import { packageVersion } from '../common/daemon/version.ts';
import { listed } from '../common/wording.ts';
import type { Catalog } from './catalog/catalog.ts';
import type { SynapseConfig } from './config/config.ts';
import type { Discoverer } from './discovery/discoverer.ts';
import { clusterKey } from './discovery/etcd-connection.ts';
import { type FleetView, instancesUp } from './fleet/facts.ts';
import { FleetMember, type FleetStatus } from './fleet/fleet.ts';
import { FleetInquiry } from './fleet/inquiry.ts';
import { socketPaths } from './haproxy/options/config.ts';
import type { HaproxyRun } from './haproxy-run.ts';
import type { Snapshot } from './output.ts';
import type { FleetDocument } from './report/fleet-shape.ts';

/** What {@link FleetRun} needs. */
export interface FleetRunDeps {
  readonly log: Log;
  readonly catalog: Pick<Catalog, 'entry'>;
  readonly discoverer: Pick<Discoverer, 'places' | 'etcd' | 'releaseEtcd'>;
  /** The last snapshot that was applied; undefined before the first. */
  readonly applied: () => Snapshot | undefined;
  /** HAProxy's output, once there is one. */
  readonly run: () => Pick<HaproxyRun, 'config' | 'haproxy'> | undefined;
}

/** The parts of the configuration that decide about the fleet. */
type FleetPart = Pick<SynapseConfig, 'fleet' | 'etcd' | 'haproxy' | 'services' | 'fileOutput'>;

/** What is asked of the whole fleet. */
export interface FleetAsked {
  /** All proxies are asked how far they are, which costs writes in etcd. */
  readonly ask: boolean;
  /** The service to ask about; undefined: everything. It has to exist. */
  readonly service?: string | undefined;
}

/** A member of the fleet while it runs. */
interface RunningMember {
  readonly member: FleetMember;
  readonly inquiry: FleetInquiry;
  readonly view: FleetView;
  readonly cluster: string;
  readonly end: AbortController;
  readonly done: Promise<void>;
}

/** The part of this synapse in the fleet, with the configuration that is in force. */
export class FleetRun {
  readonly #deps: FleetRunDeps;
  #config: FleetPart | undefined;
  #running: RunningMember | undefined;
  /** Members that were told to end. */
  readonly #ending = new Set<Promise<void>>();

  constructor(deps: FleetRunDeps) {
    this.#deps = deps;
  }

  /** What the state shows; empty while this synapse takes no part. */
  get report(): { readonly fleet?: FleetStatus } {
    return this.#running === undefined ? {} : { fleet: this.#running.member.status };
  }

  /** Takes a configuration, after the sources have. Another place of the fleet, or another etcd, needs another member. */
  configure(config: FleetPart): void {
    const before = this.#config;
    this.#config = config;
    const isSame = before?.fleet === config.fleet && before?.etcd === config.etcd;
    if (isSame && this.#running !== undefined) {
      this.#running.member.configured();
      return;
    }
    this.#stop();
    const { fleet, etcd } = config;
    if (!fleet) return;
    const { log, discoverer } = this.#deps;
    const end = new AbortController();
    const [view, cluster, host] = [viewOf(this.#deps, () => this.#config ?? config), clusterKey(etcd), hostname()];
    const connection = discoverer.etcd(etcd, end);
    const member = new FleetMember(fleet, {
      ...{ log, view, host, version: packageVersion(), connection, cluster },
      processes: () => processesOf(this.#config),
    });
    const inquiry = new FleetInquiry({ log, client: connection.client, config: fleet, host });
    const done = member.run(end.signal).finally(() => discoverer.releaseEtcd(end));
    this.#running = { member, inquiry, view, cluster, end, done };
  }

  /** What is known of the whole fleet; with `ask`, all are asked. Undefined while this synapse takes no part. */
  async inquire({ ask, service }: FleetAsked): Promise<FleetDocument | undefined> {
    if (this.#running === undefined) return undefined;
    const { inquiry, view, cluster, end } = this.#running;
    if (!ask) return await inquiry.presence(end.signal);
    const about = service === undefined ? undefined : instancesUp(view, service, cluster);
    return await inquiry.ask(about, end.signal);
  }

  /** Something has happened that a request may have waited for. */
  wake(): void {
    this.#running?.member.wake();
  }

  /** Ends the part of this synapse, and removes its keys. */
  async close(): Promise<void> {
    this.#stop();
    await Promise.all(this.#ending);
  }

  #stop(): void {
    if (this.#running === undefined) return;
    const { end, done } = this.#running;
    this.#running = undefined;
    end.abort();
    const ended = done.finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }
}

/** What the fleet sees of this synapse. */
function viewOf({ catalog, discoverer, applied, run }: FleetRunDeps, config: () => FleetPart): FleetView {
  const isApplied = (service: string): boolean => applied()?.get(service) === catalog.entry(service)?.state;
  return {
    services: () => config().services.keys(),
    places: (service) => discoverer.places(service),
    entry: (service) => catalog.entry(service),
    isApplied,
    unapplied() {
      if (run()?.config !== config().haproxy) return 'a new configuration is being applied';
      const isMissing = (service: string): boolean => catalog.entry(service)?.raw === undefined || !isApplied(service);
      const missing = [...config().services.keys()].filter(isMissing);
      return missing.length === 0 ? null : `the newest instances of ${listed(missing)} have not been applied yet`;
    },
    get hasFileOutput() {
      return config().fileOutput !== undefined;
    },
    get haproxy() {
      return run()?.haproxy;
    },
  };
}

function processesOf(config: FleetPart | undefined): number {
  return config?.haproxy.do_socket ? socketPaths(config.haproxy).length : 0;
}
