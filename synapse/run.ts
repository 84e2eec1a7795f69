import { once } from 'node:events';
import { type AdminOptions, serveAdmin } from '../common/admin/admin.ts';
import { journalRoutes } from '../common/admin/journal-routes.ts';
import { clock } from '../common/async/clock.ts';
import { sleep } from '../common/async/sleep.ts';
import type { LockFile } from '../common/daemon/file-lock.ts';
import { daemonSignals, defaultGraceMs } from '../common/daemon/lifecycle.ts';
import { limitEachMessage } from '../common/daemon/limited-log.ts';
import { startMetrics } from '../common/daemon/metrics.ts';
import { SystemdNotifier } from '../common/daemon/systemd-notifier.ts';
import type { Host } from '../common/host.ts';
import { type StatsdCounter, StatsdReporter } from '../common/statsd/reporter.ts';
import { counted } from '../common/wording.ts';
import type { SynapseConfig } from './config/config.ts';
import { ConfigReload, type ConfigReloadDeps } from './config-reload.ts';
import type { FleetAsked } from './fleet-run.ts';
import './health-metrics.ts';
import { observedNow } from './metrics.ts';
import type { ServersOf } from './output.ts';
import { OwnLocks } from './own-locks.ts';
import type { Events } from './report/events.ts';
import { pageRoutes } from './report/page-routes.ts';
import { ProblemWatch } from './report/problem-watch.ts';
import { apiRoutes } from './report/routes.ts';
import { statsdNames } from './statsd.ts';
import { Synapse, type SynapseDeps } from './synapse.ts';

/** What the daemon uses of its surroundings. */
export interface RunDeps extends SynapseDeps, ConfigReloadDeps {
  readonly events: Events;
  readonly version: string;
  readonly host: Host;
  /** Locks what only one synapse may use. */
  readonly lockFile: LockFile;
  /** The path of the configuration. */
  readonly configFile: string;
  /** HAProxy's counters under SmartStack's names. */
  readonly statsd: readonly StatsdCounter[];
}

/**
 * Milliseconds after which systemd is told that synapse has started, ready or not. systemd gives up after 90 s; while
 * etcd or HAProxy is down, that would end a synapse that works.
 */
const readyWithinMs = 10_000;

/**
 * Runs synapse until SIGTERM or SIGINT. HAProxy is left running as it is.
 * @throws {ConfigError} when the configuration is wrong; an ordinary error when the admin address cannot be used, or another
 * synapse has the same HAProxy, file or state file
 */
export async function runSynapse(deps: RunDeps): Promise<void> {
  const { version } = deps;
  const log = limitEachMessage(deps.log);
  // Before anything that takes time: a SIGHUP without a handler would end the process.
  const { signal, onReload, finished } = daemonSignals(log);
  const initial = await deps.load();
  const { configFile, lockFile } = deps;
  const locks = new OwnLocks({ log, files: deps.host.files, lockFile, configFile });
  await locks.take(initial, signal);
  const synapse = new Synapse(initial, deps);
  // The state file is that of the start until a restart.
  const inForce = ({ haproxy }: SynapseConfig) => ({ haproxy, stateFile: initial.stateFile });
  const load = async (): Promise<SynapseConfig> => {
    const next = await deps.load();
    await locks.take(inForce(next), signal);
    return next;
  };
  const watch = new ProblemWatch({ log, events: deps.events, synapse });
  const config = new ConfigReload(initial, { ...deps, load });
  let services = initial.services.size;
  startMetrics('synapse', { version, ready: () => synapse.ready() === null });
  // The API is closed last, so that people can watch synapse stop.
  const last = new AbortController();
  const api = await serveAdmin(adminOptions(initial, { synapse, watch }, deps), { log }, last.signal);
  log.info('synapse runs', { version, services, admin: api.address });
  const done = synapse.run(signal);
  void watch.run(signal);
  const statsd = new StatsdReporter(statsdNames(observedNow, version, deps.statsd), { log });
  statsd.configure(initial.statsd);

  const status = (): string => synapse.ready() ?? `ready: ${counted(services, 'service')}`;
  const systemd = new SystemdNotifier({ env: process.env, status }, { log });
  void systemd.feedWatchdog(last.signal);
  const starting = new StartNotice(systemd, { status, isReady: () => synapse.ready() === null });
  void starting.run(signal);

  const reload = async (): Promise<void> => {
    if (starting.given) systemd.reloading();
    const next = await config.read();
    synapse.noteRefused(config.refused);
    if (next !== undefined && !signal.aborted) {
      synapse.reconfigure(next);
      await locks.keepOnly(inForce(next));
      statsd.configure(next.statsd);
      services = next.services.size;
    }
    if (starting.given) systemd.ready(status());
  };
  // One after the other: of two readings of the same files, the later one must win.
  let reloading = Promise.resolve();
  onReload(() => {
    reloading = reloading.then(reload);
  });

  if (!signal.aborted) await once(signal, 'abort');
  systemd.stopping(defaultGraceMs);
  await done;
  await statsd.end();
  await systemd.flushed();
  last.abort();
  await api.closed;
  log.info('synapse ended');
  finished();
}

function adminOptions(
  { admin }: SynapseConfig,
  { synapse, watch }: { readonly synapse: Synapse; readonly watch: ProblemWatch },
  { events, version }: RunDeps,
): AdminOptions {
  const readable = {
    ready: () => synapse.ready(),
    state: (names?: readonly string[]) => watch.state(names),
    statistics: (of?: ServersOf) => synapse.statistics(of),
    traces: (service: string) => synapse.traces(service),
    sent: (service: string, id: string) => synapse.sent(service, id),
    fleet: (asked: FleetAsked) => synapse.fleet.inquire(asked),
  };
  return {
    ...admin,
    routes: { ...pageRoutes(), ...apiRoutes(readable, version), ...journalRoutes(events) },
    ready: readable.ready,
    state: () => ({ version, reason: synapse.ready(), ...watch.state() }),
  };
}

/** Tells systemd once that synapse has started: when HAProxy runs what was applied, or after {@link readyWithinMs}. */
class StartNotice {
  readonly #systemd: SystemdNotifier;
  readonly #synapse: { status(): string; isReady(): boolean };
  #given = false;

  constructor(systemd: SystemdNotifier, synapse: { status(): string; isReady(): boolean }) {
    this.#systemd = systemd;
    this.#synapse = synapse;
  }

  get given(): boolean {
    return this.#given;
  }

  async run(signal: AbortSignal): Promise<void> {
    const deadline = clock.now() + readyWithinMs;
    while (!this.#synapse.isReady() && clock.now() < deadline && !signal.aborted) await sleep(100, signal);
    this.#given = true;
    this.#systemd.ready(this.#synapse.status());
  }
}
