import { clock } from '../../common/async/clock.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { PrefixChange } from '../../common/etcd/watch/prefix-state.ts';
import { fleetKeys, newRequestId } from '../../common/fleet/keys.ts';
import type { FleetMemberConfig } from '../../common/fleet/options.ts';
import { foldPaths } from '../../common/fleet/records.ts';
import type { EtcdConnection } from '../discovery/etcd-connection.ts';
import { Acknowledger } from './acknowledger.ts';
import { type FleetView, pathsIn } from './facts.ts';
import { observeFleet } from './metrics.ts';
import { Presence } from './presence.ts';

/** What {@link FleetMember} needs. */
export interface FleetMemberDeps {
  readonly log: Log;
  readonly view: FleetView;
  readonly connection: EtcdConnection;
  /** As `clusterKey` names it. */
  readonly cluster: string;
  /** For people. */
  readonly host: string;
  readonly version: string;
  /** How many HAProxy processes there are. */
  readonly processes: () => number;
}

/** What a synapse says about its part in the fleet. */
export interface FleetStatus {
  readonly path: string;
  readonly id: string;
  /** How many proxies there were when they were last counted; null while that is not known. */
  readonly proxies: number | null;
  /** Requests that concern this synapse and are open. */
  readonly requests: number;
  /** Why this synapse takes no part; null while it does. */
  readonly reason: string | null;
  /** Another synapse has the same id: the answers of both count for nothing. */
  readonly shared: boolean;
}

/** This synapse as a member of the fleet: says that it is there, and acknowledges the requests that concern it. */
export class FleetMember {
  readonly #config: FleetMemberConfig;
  readonly #deps: FleetMemberDeps;
  readonly #session = newRequestId();
  readonly #startedAt = clock.date().toISOString();
  readonly #presence: Presence;
  readonly #acknowledger: Acknowledger;
  #paths: readonly string[] = [];

  /** Does no I/O. */
  constructor(config: FleetMemberConfig, deps: FleetMemberDeps) {
    const { view, connection, cluster } = deps;
    const log = deps.log.child({ component: 'fleet' });
    const keys = fleetKeys(config.path);
    this.#config = config;
    this.#deps = { ...deps, log };
    // A prefix that may not be read would also make all that is followed look out of date.
    const whyBlind = (): string | null => connection.reflector.status.denied[keys.requests] ?? null;
    this.#presence = new Presence({ log, client: connection.client, keys, id: config.id, whyBlind });
    this.#acknowledger = new Acknowledger({
      ...{ log, view, cluster, keys, session: this.#session, reflector: connection.reflector },
      pendingDeletes: () => connection.judge.pending,
      paths: () => this.#paths,
      write: (request, record, first) => this.#presence.acknowledge(request, record, { atOnce: !first }),
      withdraw: (request) => this.#presence.withdraw(request),
    });
    observeFleet(() => ({ requests: this.#acknowledger.requests.length, proxies: this.#presence.proxies }));
  }

  /** What the status shows. */
  get status(): FleetStatus {
    const { path, id } = this.#config;
    const proxies = this.#presence.proxies ?? null;
    const { reason, isShared: shared } = this.#presence;
    return { path, id, proxies, requests: this.#acknowledger.requests.length, reason, shared };
  }

  /** The services, or their sources, or HAProxy's processes are others: says so where that makes a difference. */
  configured(): void {
    const { view, cluster, host, version, processes } = this.#deps;
    const paths = foldPaths(pathsIn(view, cluster));
    const haproxyProcesses = processes();
    this.#paths = paths;
    const record = { host, version, session: this.#session, startedAt: this.#startedAt, paths, haproxyProcesses };
    this.#presence.set(record);
    this.#acknowledger.pathsChanged();
  }

  /** Something has happened that a request may have waited for. */
  wake(): void {
    this.#acknowledger.wake();
  }

  /** Takes part until `signal` aborts; then its keys go. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    this.configured();
    await this.#presence.run((held) => void this.#follow(held), signal);
    observeFleet(() => undefined);
  }

  /** Follows and acknowledges requests until `signal` aborts. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { requests } = fleetKeys(this.#config.path);
    const { reflector } = this.#deps.connection;
    const onChange = (change: PrefixChange): void => this.#acknowledger.takeChange(change);
    await Promise.all([this.#acknowledger.run(signal), reflector.follow(requests, onChange, signal)]);
  }
}
