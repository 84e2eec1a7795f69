import { setMaxListeners } from 'node:events';
import { clock } from '../../common/async/clock.ts';
import { supervise } from '../../common/async/supervise.ts';
import { LimitedLog } from '../../common/daemon/limited-log.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import type { Host } from '../../common/host.ts';
import type { AppliedService, Output, ServiceState, Snapshot } from '../output.ts';
import { ApplyLoop } from './apply-loop.ts';
import { ConfigFile } from './configfile/config-file.ts';
import { ConfigWriter } from './configfile/config-writer.ts';
import { DesiredServices, type InstanceChange, servicesIn } from './desired-services.ts';
import type { HaproxyEvent } from './events.ts';
import { Evidence } from './evidence.ts';
import { applyDuration } from './metrics.ts';
import { fileUse, type HaproxyConfig, socketPaths } from './options/config.ts';
import { Reloader } from './reload/reloader.ts';
import type { ChangeResult } from './runtime/execute.ts';
import { HaproxyProcess } from './runtime/process.ts';
import { reportLines } from './spec/build-backend.ts';
import {
  adoptClosed,
  backendOf,
  closeDrained,
  type DesiredService,
  nameInUse,
  takeInstances,
} from './spec/desired-service.ts';
import { type ParsedConfig, type ParsedServer, parseConfig } from './spec/parse-config.ts';
import { type HaproxyStatus, statusOf } from './status.ts';
import { trustFile } from './trust-file.ts';
import { decideByVersion } from './version.ts';

/** What {@link HaproxyOutput} needs. */
export interface HaproxyDeps {
  readonly log: Log;
  readonly host: Host;
  readonly onEvent?: (event: HaproxyEvent) => void;
}

/** The commands for one service that are on their way. `drains`: a server gets no new work from now on. */
interface Sending {
  readonly desired: DesiredService;
  readonly results: readonly Promise<ChangeResult>[];
  /** The servers may be others. */
  readonly isChanged: boolean;
  readonly drains: boolean;
}

/** Brings HAProxy to a snapshot: the running servers first, then the file, then a reload if nothing else helps. */
export class HaproxyOutput implements Omit<Output, 'reason'> {
  /** What can be proven of it. */
  readonly evidence: Evidence;
  readonly #config: HaproxyConfig;
  readonly #signal: AbortSignal;
  readonly #log: Log;
  readonly #dropped: LimitedLog;
  readonly #host: Host;
  readonly #emit: (event: HaproxyEvent) => void;
  readonly #desired: DesiredServices;
  readonly #file: ConfigFile | undefined;
  #parsed: ParsedConfig = parseConfig('');
  /** The file that was there at the start, until every HAProxy has been read: it takes memory in proportion to all servers. */
  #found: ParsedConfig | undefined;
  readonly #processes: readonly HaproxyProcess[];
  /** Sockets that answered when they were last heard of. */
  readonly #connected = new Set<string>();
  readonly #writer: ConfigWriter;
  readonly #reloader: Reloader;
  readonly #loop: ApplyLoop;
  #hasBegun = false;
  #onBegun: () => void = () => {};
  readonly #begun = new Promise<void>((resolve) => {
    this.#onBegun = resolve;
  });

  /** Does no I/O. The output ends when `signal` aborts. */
  constructor(config: HaproxyConfig, { log, host, onEvent: emit = () => {} }: HaproxyDeps, signal: AbortSignal) {
    this.#config = config;
    this.#signal = signal;
    this.#log = log.child({ component: 'haproxy' });
    this.#dropped = new LimitedLog(this.#log);
    this.#host = host;
    this.#emit = emit;
    this.#desired = new DesiredServices(config, { log: this.#log, renumber: (desired) => this.#renumber(desired) });
    const deps = { log: this.#log, host, emit };
    const { config_file_path } = config;
    const file =
      config.do_writes && config_file_path !== null ? new ConfigFile({ ...config, config_file_path }, deps) : undefined;
    const processes = (config.do_socket ? socketPaths(config) : []).map((path) => this.#openProcess(path));
    const services = this.#desired.byName;
    this.#file = file;
    this.#processes = processes;
    this.#writer = new ConfigWriter(config, { ...deps, services, processes, file, present: () => this.#present() });
    this.#reloader = new Reloader(config, { ...deps, processes, writer: this.#writer, file });
    this.#loop = new ApplyLoop({
      ...{ log: this.#log, processes, writer: this.#writer, reloader: this.#reloader },
      use: fileUse(config),
      serviceReloadIntervalMs: config.service_reload_interval,
    });
    this.evidence = new Evidence({
      ...{ config, host, processes, file, services },
      present: () => this.#present(),
      loop: this.#loop,
      reloader: this.#reloader,
    });
  }

  /** What the API and the metrics show. Reading it changes nothing. */
  get status(): HaproxyStatus {
    const { problems, ports, byName: services } = this.#desired;
    return statusOf({
      services,
      processes: this.#processes,
      writer: this.#writer,
      reloader: this.#reloader,
      loop: this.#loop,
      ports,
      problems,
    });
  }

  /** The HAProxy processes, to be read only. */
  get processes(): readonly Pick<HaproxyProcess, 'path' | 'inSync' | 'running' | 'commandLog'>[] {
    return this.#processes;
  }

  /** With `reload_free_services`: service → its backend. */
  get portBackends(): Readonly<Record<string, string>> {
    return this.#desired.ports?.backends ?? {};
  }

  /** Waits until {@link run} has begun. @returns the services for which commands were sent, when HAProxy has answered */
  async apply(snapshot: Snapshot, changed: ReadonlySet<string>): Promise<readonly AppliedService[]> {
    // No `await` once it has begun: the commands have to be on their way when this function first yields.
    if (!this.#hasBegun) await this.#begun;
    const trusted = trustFile(snapshot, (state) => this.#serversInFile(state));
    const { instances, reasons } = this.#desired.update(trusted, changed);
    const sending = instances.map((change) => this.#send(change)).filter((sent) => sent !== undefined);
    for (const reason of reasons) this.#reloader.specChanged(reason);
    if (reasons.length > 0) this.#writer.specsChanged();
    const drains = sending.some((sent) => sent.drains);
    this.#loop.touch({ urgent: reasons.length > 0, services: servicesIn(sending, reasons), drains });
    return await this.#answered(sending);
  }

  /**
   * Holds the connections, writes the file and reloads until `signal` aborts. Then writes what is pending, and leaves
   * HAProxy as it is.
   */
  async run(signal: AbortSignal): Promise<void> {
    const scope = AbortSignal.any([this.#signal, signal]);
    // Each process, pause and question to the master listens while it is under way: more than Node expects.
    setMaxListeners(0, scope);
    reportLines(this.#config, this.#log);
    await supervise(() => this.#work(scope), { what: 'HAProxy output', log: this.#log }, scope);
    await this.#loop.flush();
  }

  async #work(signal: AbortSignal): Promise<void> {
    try {
      await this.#file?.read();
    } catch (error) {
      // The running HAProxy can still get changes of servers.
      this.#log.error('the present file cannot be read', { reason: reasonOf(error) });
    }
    if (!this.#hasBegun) {
      this.#found = this.#present();
      this.#desired.begin(await decideByVersion(this.#config, this.#host, signal));
      this.#reloader.fileRead();
    }
    this.#hasBegun = true;
    this.#onBegun();
    await Promise.all([...this.#processes.map((haproxy) => haproxy.run(signal)), this.#runLoop(signal)]);
  }

  async #runLoop(signal: AbortSignal): Promise<void> {
    const options = { what: 'writing and reloading HAProxy', log: this.#log, healthyAfterMs: 2_000 };
    await supervise((each) => this.#loop.run(each), options, signal);
  }

  #openProcess(path: string): HaproxyProcess {
    return new HaproxyProcess(path, {
      log: this.#log,
      host: this.#host,
      services: this.#desired.byName,
      config: this.#config,
      file: () => this.#present(),
      foundFile: () => this.#found ?? this.#present(),
      onRead: (haproxy) => {
        if (this.#processes.every(({ worker }) => worker !== undefined)) this.#found = undefined;
        if (haproxy === this.#processes[0])
          for (const desired of this.#desired.byName.values()) this.#renumber(desired);
      },
      onDeleted: ({ active, ids }, name) => {
        const isRunning = this.#processes.some(({ running }) => running.get(active?.backend ?? '')?.has(name));
        if (!isRunning) ids.release(name);
      },
      onSync: (haproxy, commands) => {
        this.#connected.add(path);
        this.#emit({ type: 'synced', socket: path, pid: haproxy.worker?.pid ?? 0, commands });
        this.#loop.touch();
      },
      onChange: () => {
        // A reload ends our connection too: that is not a loss.
        const reason = this.#processes.find((haproxy) => haproxy.path === path)?.reason ?? null;
        if (reason !== null && this.#connected.delete(path)) this.#emit({ type: 'lost', socket: path, reason });
        this.#loop.wake();
      },
    });
  }

  /** The file that is there, parsed. */
  #present(): ParsedConfig {
    if (this.#file !== undefined && this.#file.text !== this.#parsed.text) this.#parsed = parseConfig(this.#file.text);
    return this.#parsed;
  }

  /** The servers of a service in the file that is there. */
  #serversInFile({ name, config }: ServiceState): ReadonlyMap<string, ParsedServer> | undefined {
    return this.#present().backends.get(this.portBackends[name] ?? config.backend_name ?? name);
  }

  /** Servers keep the numbers with which they run, or else those of the file. */
  #renumber(desired: DesiredService): void {
    const backend = backendOf(desired);
    if (backend === undefined) return;
    const known: [string, number][] = [];
    for (const { name, id } of this.#processes[0]?.running.get(backend)?.values() ?? []) known.push([name, id]);
    for (const { name, id } of this.#present().backends.get(backend)?.values() ?? []) {
      if (id !== undefined) known.push([name, id]);
    }
    desired.ids.reset(known);
    desired.numbering += 1;
  }

  /** Sends the commands for the new instances of a service; undefined when it cannot be in HAProxy. */
  #send({ desired, instances, seenAt, all }: InstanceChange): Sending | undefined {
    const spec = desired.active ?? desired.wanted;
    if (spec === undefined) return undefined;
    adoptClosed(desired, this.#present());
    const isWhole = all || desired.instances === undefined;
    const leaving = new Set(desired.leaving.keys());
    const changes = takeInstances(desired, spec, instances, this.#config.drain_timeout);
    desired.seenAt = seenAt;
    const results = this.#processes.map((haproxy) =>
      isWhole ? haproxy.replan([desired]) : haproxy.change(desired, changes),
    );
    for (const { name, server } of changes) {
      if (server === undefined || server.dropped.length === 0) continue;
      const fields = { service: nameInUse(desired), server: name, reason: server.dropped.join('; ') };
      this.#dropped.warn('options of a record are not used, the rest is used', fields);
    }
    for (const [name, deadline] of desired.leaving) if (!leaving.has(name)) this.#expireAt(deadline, desired, name);
    const drains = !isWhole && changes.some(({ server }) => server?.state === 'drain');
    return { desired, results, isChanged: isWhole || changes.length > 0, drains };
  }

  /** Puts the server of a drained instance into maintenance until the instance is drained no more. */
  closeDrained(backend: string, name: string): void {
    const desired = [...this.#desired.byName.values()].find((each) => backendOf(each) === backend);
    const change = desired && closeDrained(desired, name);
    if (desired === undefined || change === undefined) return;
    const message = 'a drained server goes into maintenance, because persistence sends clients there';
    this.#log.info(message, { backend, name });
    for (const haproxy of this.#processes) void haproxy.change(desired, [change]);
    this.#loop.touch();
  }

  /** At `deadline`, a server that drains goes into maintenance. */
  #expireAt(deadline: number, desired: DesiredService, name: string): void {
    const expire = (): void => {
      if (this.#signal.aborted || desired.leaving.get(name) !== deadline) return;
      desired.leaving.delete(name);
      for (const haproxy of this.#processes) void haproxy.change(desired, [{ name, server: undefined }]);
    };
    clock.setTimeout(expire, Math.max(0, deadline - clock.now())).unref();
  }

  async #answered(sending: readonly Sending[]): Promise<readonly AppliedService[]> {
    const applied: AppliedService[] = [];
    for (const { desired, results } of sending) {
      let commands = 0;
      let failed = 0;
      for (const result of results) {
        const done = await result;
        commands += done.commands;
        failed += done.failed;
      }
      if (commands === 0) continue;
      const milliseconds = clock.now() - desired.seenAt;
      applyDuration.observe(milliseconds / 1000);
      applied.push({ service: nameInUse(desired), commands, failed, milliseconds });
    }
    return applied;
  }
}
