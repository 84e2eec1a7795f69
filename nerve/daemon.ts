import { isDeepStrictEqual } from 'node:util';
import { type AdminServer, serveAdmin } from '../common/admin/admin.ts';
import type { AdminConfig } from '../common/admin/options.ts';
import { type LinkedAbort, linkAbort } from '../common/async/abort.ts';
import { timeoutSignal } from '../common/async/timeout.ts';
import { ConfigError, problemsInLine } from '../common/config/problem.ts';
import { defaultSocket, defaultStateFile, type Owner } from '../common/daemon/default-paths.ts';
import { defaultGraceMs } from '../common/daemon/lifecycle.ts';
import { limitEachMessage } from '../common/daemon/limited-log.ts';
import type { Log } from '../common/daemon/log.ts';
import { countReload, startMetrics } from '../common/daemon/metrics.ts';
import { SystemdNotifier } from '../common/daemon/systemd-notifier.ts';
import type { EtcdClient } from '../common/etcd/client/client.ts';
import type { EtcdOptions } from '../common/etcd/client/options.ts';
import type { Files } from '../common/host.ts';
import { StatsdReporter } from '../common/statsd/reporter.ts';
import { counted } from '../common/wording.ts';
import { type OperatorChanges, OperatorStore } from './announce/operator-store.ts';
import type { NerveConfig } from './config/config.ts';
import { controlRoutes } from './control.ts';
import { FleetWaits } from './fleet-waits.ts';
import { heartbeat } from './heartbeat.ts';
import { observe } from './metrics.ts';
import { Nerve } from './nerve.ts';
import { RegistryClients } from './registry-clients.ts';
import { statsdNames } from './statsd.ts';
import { describeState, observed } from './status.ts';

/** What the daemon uses of the world around it; a simulation hands in its own. */
export interface DaemonDeps {
  readonly log: Log;
  readonly version: string;
  readonly files: Files;
  /** Creates an etcd client that works until `signal` aborts. */
  readonly openEtcd: (options: EtcdOptions, deps: { readonly log: Log }, signal: AbortSignal) => EtcdClient;
  /** Reads the configuration; called at the start and at each reload. @throws {ConfigError} */
  readonly loadConfig: () => Promise<NerveConfig>;
  /** Whose state file, control socket and environment the daemon uses. */
  readonly owner: Owner;
}

/** Deadline of withdrawing everything at the shutdown; what is left goes when the lease expires. */
const withdrawTimeoutMs = 5000;

/** The parts of a running daemon. */
interface Parts {
  readonly fleet: FleetWaits;
  readonly nerve: Nerve;
  readonly operator: OperatorChanges;
  readonly statsd: StatsdReporter;
  readonly systemd: SystemdNotifier;
  readonly server: AdminServer;
  /** Ends the etcd clients and the admin server, which the shutdown itself needs. */
  readonly lastStop: AbortController;
}

/** A whole nerve: its services, and all that reads, controls and watches them. */
export class NerveDaemon {
  readonly #deps: DaemonDeps;
  readonly #parts: Parts;
  /** Aborts when the shutdown begins. */
  readonly #shutdown = new AbortController();
  #config: NerveConfig;
  #heartbeat: LinkedAbort;
  #reloading = Promise.resolve();
  #configRefused: string | undefined;

  /**
   * Starts the daemon; does not wait for etcd.
   * @throws {ConfigError} when the configuration is invalid; another error when the admin address cannot be used
   */
  static async start(given: DaemonDeps): Promise<NerveDaemon> {
    const deps = { ...given, log: limitEachMessage(given.log) };
    const { log, version, files, owner } = deps;
    const config = await deps.loadConfig();
    const stateFile = config.stateFile ?? (await stateFileByDefault(owner, deps));
    const operator = await OperatorStore.open(stateFile === false ? null : stateFile, { log, files });
    const lastStop = new AbortController();
    let daemon: NerveDaemon | undefined;
    const current = (): NerveConfig => (daemon === undefined ? config : daemon.#config);
    const clients = new RegistryClients(deps, lastStop.signal);
    const nerve = new Nerve({ log, operator, connect: (...registry) => clients.connect(...registry) });
    const fleet = new FleetWaits({ nerve, clients, log, config: current });
    startMetrics('nerve', { version, ready: () => nerve.notReadyReason === null });
    observe(() => observed(nerve));
    const admin = {
      ...(await adminSection(config.admin, owner, deps)),
      ready: () => nerve.notReadyReason,
      state: () => describeState(nerve, version, daemon?.configRefused),
      control: controlRoutes({
        nerve,
        operator,
        drainTimeMs: () => current().drainTimeMs,
        wait: (...services) => fleet.wait(...services),
      }),
    };
    const server = await serveAdmin(admin, { log }, lastStop.signal);
    log.info('nerve runs', {
      version,
      instance_id: config.instanceId,
      services: config.services.size,
      admin: server.address,
      control_socket: admin.control_socket,
      state_file: stateFile,
    });
    nerve.apply(config);
    const statsd = new StatsdReporter(statsdNames(nerve, version), { log });
    statsd.configure(config.statsd);
    const systemd = new SystemdNotifier({ env: owner.env, status: () => statusLine(nerve) }, { log });
    void systemd.feedWatchdog(lastStop.signal);
    // Ready even when nothing is announced yet: while etcd is down, systemd must not end a nerve that works.
    systemd.ready(statusLine(nerve));
    daemon = new NerveDaemon(config, { nerve, fleet, operator, statsd, systemd, server, lastStop }, deps);
    return daemon;
  }

  private constructor(config: NerveConfig, parts: Parts, deps: DaemonDeps) {
    this.#config = config;
    this.#parts = parts;
    this.#deps = deps;
    this.#heartbeat = this.#startHeartbeat();
  }

  /** The services, for a program that runs the daemon in its own process. */
  get nerve(): Nerve {
    return this.#parts.nerve;
  }

  /** Why the configuration that was read last cannot be used, so that a restart would fail. */
  get configRefused(): string | undefined {
    return this.#configRefused;
  }

  /** How long {@link shutDown} may take. */
  get shutdownTimeMs(): number {
    return defaultGraceMs + this.#config.shutdown.drain;
  }

  /** Reads the configuration again and applies it. Reloads run one after another, so that the last one wins. */
  reload(): void {
    this.#reloading = this.#reloading.then(() => this.#reload());
  }

  /** Stops everything: drains and withdraws the services as configured, then ends what reported on that. */
  async shutDown(): Promise<void> {
    const { nerve, fleet, operator, statsd, systemd, server, lastStop } = this.#parts;
    const { log } = this.#deps;
    const { drain: drainMs, keep } = this.#config.shutdown;
    this.#shutdown.abort();
    systemd.stopping(this.shutdownTimeMs);
    // The checks go on while the services drain: one that fails is withdrawn at once.
    if (drainMs > 0 && (await nerve.drainAll(timeoutSignal(withdrawTimeoutMs)))) {
      log.info('draining before the shutdown', { milliseconds: drainMs });
      await fleet.untilQuiet(drainMs, lastStop.signal);
    }
    await nerve.close(withdrawTimeoutMs, { keep });
    await fleet.removed();
    await operator.saved();
    await statsd.end();
    await systemd.flushed();
    lastStop.abort();
    await server.closed;
    log.info('nerve ended');
  }

  async #reload(): Promise<void> {
    const { nerve, systemd } = this.#parts;
    systemd.reloading();
    const config = await this.#loadAgain();
    if (config !== undefined && !this.#shutdown.signal.aborted) this.#apply(config);
    systemd.ready(statusLine(nerve));
  }

  /** The new configuration; undefined, with its problems logged, when it is invalid. */
  async #loadAgain(): Promise<NerveConfig | undefined> {
    try {
      const config = await this.#deps.loadConfig();
      countReload('ok');
      this.#configRefused = undefined;
      this.#deps.log.info('configuration read again', { services: config.services.size });
      return config;
    } catch (error) {
      countReload('invalid');
      const problems = error instanceof ConfigError ? error.problems : [{ path: '', message: String(error) }];
      this.#configRefused = problemsInLine(problems);
      this.#deps.log.error('the new configuration is invalid, the old one stays in force', { problems });
      return undefined;
    }
  }

  #apply(config: NerveConfig): void {
    const old = this.#config;
    const { log } = this.#deps;
    if (!isDeepStrictEqual(config.admin, old.admin)) log.warn('a new admin section needs a restart');
    if (config.stateFile !== old.stateFile) log.warn('a new state_file_path needs a restart');
    this.#config = config;
    this.#parts.nerve.apply(config);
    this.#parts.statsd.configure(config.statsd);
    if (config.heartbeatPath === old.heartbeatPath) return;
    this.#heartbeat.abort();
    this.#heartbeat.release();
    this.#heartbeat = this.#startHeartbeat();
  }

  #startHeartbeat(): LinkedAbort {
    const beating = linkAbort(this.#shutdown.signal);
    const { heartbeatPath } = this.#config;
    if (heartbeatPath !== null) void heartbeat(heartbeatPath, this.#deps, beating.signal);
    return beating;
  }
}

/** The admin section, with the default control socket when it names none. */
async function adminSection(admin: AdminConfig, owner: Owner, { log, files }: Pick<DaemonDeps, 'log' | 'files'>) {
  if (admin.control_socket !== null) return admin;
  const { path, reason } = await defaultSocket(owner, files);
  if (reason !== null) log.warn('no control socket: set admin.control_socket', { reason });
  return { ...admin, control_socket: path, socketOptional: true };
}

/** The default state file; null, with a warning, when there is no place for one. */
async function stateFileByDefault(
  owner: Owner,
  { log, files }: Pick<DaemonDeps, 'log' | 'files'>,
): Promise<string | null> {
  const { path, reason } = await defaultStateFile(owner, files);
  if (reason !== null)
    log.warn('no state file, so drained services are forgotten at a restart: set state_file_path', { reason });
  return path;
}

/** The status of the systemd unit. */
function statusLine(nerve: Nerve): string {
  return nerve.notReadyReason ?? `ready: ${counted(nerve.services.size, 'service')}`;
}
