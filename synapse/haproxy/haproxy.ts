import type { AppliedService, Output, ServersOf, Snapshot } from '../output.ts';
import type { HaproxyEvent } from './events.ts';
import type { HaproxyProof } from './evidence.ts';
import type { FoundServers, ServerNames } from './find-servers.ts';
import { observeHaproxy } from './metrics.ts';
import { type HaproxyConfig, socketPaths } from './options/config.ts';
import { type HaproxyDeps, HaproxyOutput } from './output.ts';
import type { SentCommands } from './runtime/command-log.ts';
import type { ServerAt } from './runtime/read-servers.ts';
import { type ServicesStatistics, statisticsByService } from './statistics/counters.ts';
import { StatisticsReader } from './statistics/reader.ts';
import { type HaproxyStatus, readinessReason } from './status.ts';

/** HAProxy as the rest of synapse sees it: by service. */
export interface RunningHaproxy extends Output {
  readonly status: HaproxyStatus;
  /** What HAProxy counts. @throws when no HAProxy can be asked */
  statistics(of?: ServersOf): Promise<ServicesStatistics>;
  /** The servers of a service that may stand for an instance; undefined when HAProxy does not have the service. */
  find(service: string, names: ServerNames): FoundServers | undefined;
  /** Reads servers from the file and from every worker of HAProxy. Never rejects. */
  prove(servers: readonly ServerAt[], signal: AbortSignal): Promise<HaproxyProof>;
  /** Puts the server of a drained instance into maintenance until the instance is drained no more. */
  closeDrained(server: ServerAt): void;
  /** How long clients may come back to a drained server before it is closed, milliseconds. */
  readonly stickyDrainMs: number;
  /** Why not everything is applied that was given to `apply`; null when it is, in HAProxy and in the file. Never rejects. */
  unapplied(signal: AbortSignal): Promise<string | null>;
  /** Has `listener` called whenever the file was written, or HAProxy was reloaded or came back. */
  listen(listener: () => void): void;
  /** The last commands for one server, sent to each HAProxy. */
  sent(service: string, name: string): readonly SentCommands[];
}

/** The HAProxy processes of this host. */
export class LocalHaproxy implements RunningHaproxy {
  readonly #output: HaproxyOutput;
  readonly #reader: StatisticsReader;
  #snapshot: Snapshot = new Map();
  #listener: () => void = () => {};
  readonly stickyDrainMs: number;

  /** Does no I/O. The output ends when `signal` aborts. From now on, the metrics show this HAProxy. */
  constructor(config: HaproxyConfig, deps: HaproxyDeps, signal: AbortSignal) {
    this.stickyDrainMs = config.sticky_drain_timeout;
    const onEvent = (event: HaproxyEvent): void => {
      deps.onEvent?.(event);
      this.#listener();
    };
    this.#output = new HaproxyOutput(config, { ...deps, onEvent }, signal);
    this.#reader = new StatisticsReader(config.do_socket ? socketPaths(config) : [], deps.host);
    observeHaproxy(() => this.#output.status);
  }

  get status(): HaproxyStatus {
    return this.#output.status;
  }

  get reason(): string | null {
    return readinessReason(this.#output.status);
  }

  apply(snapshot: Snapshot, changed: ReadonlySet<string>): Promise<readonly AppliedService[]> {
    this.#snapshot = snapshot;
    return this.#output.apply(snapshot, changed);
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#output.run(signal);
  }

  async statistics(of?: ServersOf): Promise<ServicesStatistics> {
    const { sockets } = this.#output.status;
    // An answer that is being reused would hide that HAProxy is away now.
    if (sockets.every(({ connected }) => !connected)) {
      throw new Error(sockets[0]?.lastError ?? 'it has not been connected to yet');
    }
    const isKnown = typeof of === 'object' && this.#snapshot.has(of.service);
    const { portBackends } = this.#output;
    const scope = of === 'all' ? 'all' : isKnown ? { backend: this.#backendOf(of.service, portBackends) } : undefined;
    const statistics = await this.#reader.read(scope);
    const services = [...this.#snapshot.keys()];
    return statisticsByService(
      statistics,
      new Map(services.map((name) => [name, this.#backendOf(name, portBackends)])),
    );
  }

  find(service: string, names: ServerNames): FoundServers | undefined {
    return this.#output.evidence.find(this.#backendOf(service, this.#output.portBackends), names);
  }

  prove(servers: readonly ServerAt[], signal: AbortSignal): Promise<HaproxyProof> {
    return this.#output.evidence.read(servers, signal);
  }

  unapplied(signal: AbortSignal): Promise<string | null> {
    return this.#output.evidence.unapplied(signal);
  }

  closeDrained({ backend, name }: ServerAt): void {
    this.#output.closeDrained(backend, name);
  }

  listen(listener: () => void): void {
    this.#listener = listener;
  }

  sent(service: string, name: string): readonly SentCommands[] {
    return this.#output.sent(this.#backendOf(service, this.#output.portBackends), name);
  }

  #backendOf(service: string, portBackends: Readonly<Record<string, string>>): string {
    if (Object.hasOwn(portBackends, service)) return String(portBackends[service]);
    return this.#snapshot.get(service)?.config.backend_name ?? service;
  }
}
