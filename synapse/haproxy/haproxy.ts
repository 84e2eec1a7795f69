import type { AppliedService, Output, ServersOf, Snapshot } from '../output.ts';
import type { HaproxyEvent } from './events.ts';
import type { HaproxyProof } from './evidence.ts';
import type { FoundServers, ServerNames } from './find-servers.ts';
import { failedRequestsTotal, observeHaproxy, prepareTraffic, requestsTotal } from './metrics.ts';
import { type HaproxyConfig, socketPaths } from './options/config.ts';
import { type HaproxyDeps, HaproxyOutput } from './output.ts';
import type { SentCommands } from './runtime/command-log.ts';
import type { ServerAt } from './runtime/read-servers.ts';
import { type ServicesStatistics, statisticsByService } from './statistics/counters.ts';
import type { ServiceHealth } from './statistics/health-shape.ts';
import { StatisticsReader } from './statistics/reader.ts';
import { worstCounts } from './statistics/server-counts.ts';
import type { TrafficStep } from './statistics/traffic-history.ts';
import { TrafficMeter } from './statistics/traffic-meter.ts';
import { type HaproxyStatus, readinessReason } from './status.ts';

/** HAProxy as the rest of synapse sees it: by service. */
export interface RunningHaproxy extends Output {
  readonly status: HaproxyStatus;
  /** What HAProxy says of a service; undefined while it does not answer or does not have the service. */
  health(service: string): ServiceHealth | undefined;
  /** What HAProxy counts. @throws when no HAProxy can be asked */
  statistics(of?: ServersOf): Promise<ServicesStatistics>;
  /** The servers of a service that may stand for an instance; undefined when HAProxy does not have the service. */
  find(service: string, names: ServerNames): FoundServers | undefined;
  /** Reads servers from the file and from every worker of HAProxy. Never rejects. */
  prove(servers: readonly ServerAt[], signal: AbortSignal): Promise<HaproxyProof>;
  /** Has the file written soon, if it lacks something, and waits for that, for a moment at most. Never rejects. */
  fileWritten(signal: AbortSignal): Promise<void>;
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
  readonly #traffic: TrafficMeter;
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
    this.#traffic = new TrafficMeter({
      log: deps.log,
      host: deps.host,
      sockets: () => this.#output.processes.filter(({ inSync }) => inSync).map(({ path }) => path),
      onStep: (steps) => this.#count(steps),
    });
    observeHaproxy(() => this.#output.status);
  }

  get status(): HaproxyStatus {
    return this.#output.status;
  }

  get reason(): string | null {
    return readinessReason(this.#output.status);
  }

  apply(snapshot: Snapshot, changed: ReadonlySet<string>): Promise<readonly AppliedService[]> {
    for (const service of changed) if (snapshot.has(service) && !this.#snapshot.has(service)) prepareTraffic(service);
    this.#snapshot = snapshot;
    return this.#output.apply(snapshot, changed);
  }

  run(signal: AbortSignal): Promise<void> {
    void this.#traffic.run(signal);
    return this.#output.run(signal);
  }

  health(service: string): ServiceHealth | undefined {
    const backend = this.#backendOf(service, this.#output.portBackends);
    const servers = worstCounts(this.#output.processes, backend);
    if (servers === undefined) return undefined;
    const traffic = this.#traffic.of(backend);
    return { servers, ...(traffic !== undefined && { traffic }) };
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

  fileWritten(signal: AbortSignal): Promise<void> {
    return this.#output.evidence.fileWritten(signal);
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
    const backend = this.#backendOf(service, this.#output.portBackends);
    return this.#output.processes
      .map(({ commandLog }) => commandLog.of(backend, name))
      .filter((sent) => sent !== undefined);
  }

  /** Adds what backends have done to the counters of their services. */
  #count(steps: ReadonlyMap<string, TrafficStep>): void {
    if (steps.size === 0) return;
    const { portBackends } = this.#output;
    for (const service of this.#snapshot.keys()) {
      const step = steps.get(this.#backendOf(service, portBackends));
      if (step === undefined) continue;
      requestsTotal.inc({ service }, step.requests);
      failedRequestsTotal.inc({ service, what: 'connection' }, step.failed);
      failedRequestsTotal.inc({ service, what: 'answer' }, step.server_errors);
    }
  }

  #backendOf(service: string, portBackends: Readonly<Record<string, string>>): string {
    if (Object.hasOwn(portBackends, service)) return String(portBackends[service]);
    return this.#snapshot.get(service)?.config.backend_name ?? service;
  }
}
