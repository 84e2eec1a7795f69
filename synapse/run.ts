import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { type AdminOptions, serveAdmin } from '../common/admin/admin.ts';
import { journalRoutes } from '../common/admin/journal.ts';
import { clock } from '../common/async/clock.ts';
import { sleep } from '../common/async/sleep.ts';
import { daemonSignals } from '../common/cli/daemon.ts';
import { ConfigError } from '../common/config/problem.ts';
import { defaultGrace } from '../common/daemon/lifecycle.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import { countReload, startMetrics } from '../common/daemon/metrics.ts';
import { createNotifier } from '../common/daemon/notify.ts';
import { createStatsdReport, type StatsdCounter } from '../common/statsd/report.ts';
import type { SynapseConfig } from './config/config.ts';
import { observedNow } from './metrics.ts';
import type { Events } from './report/events.ts';
import { pageRoutes } from './report/page-routes.ts';
import { apiRoutes } from './report/routes.ts';
import { statsdNames } from './statsd.ts';
import { createSynapse, type SynapseDeps } from './synapse.ts';

export interface RunDeps extends Pick<SynapseDeps, 'createHaproxy'> {
  readonly log: Log;
  readonly events: Events;
  readonly version: string;
  /** What its output counts under names of SmartStack. */
  readonly statsd: readonly StatsdCounter[];
  /** Reads the configuration; again at each SIGHUP. @throws {ConfigError} */
  load(): Promise<SynapseConfig>;
}

/**
 * systemd hears that synapse is ready when HAProxy has what it shall have, and at the latest after this time, in
 * milliseconds: etcd or HAProxy may be away, and systemd would end a synapse that works. Its own patience is 90 s.
 */
const readyWithin = 10_000;

/**
 * Runs synapse until SIGTERM or SIGINT. HAProxy is left running as it is.
 * @throws {ConfigError} when the configuration is wrong; an ordinary error when the admin address cannot be used
 */
export async function runSynapse(deps: RunDeps): Promise<void> {
  const { log, events, version, load } = deps;
  let config = await load();
  const { signal, onReload, finished } = daemonSignals(log);
  const synapse = createSynapse(config, deps);
  startMetrics('synapse', { version, ready: () => synapse.ready() === null });
  // Ends last: who watches the end needs it.
  const last = new AbortController();
  const admin: AdminOptions = {
    ...config.admin,
    routes: { ...pageRoutes(), ...apiRoutes(synapse, version), ...journalRoutes(events) },
    ready: () => synapse.ready(),
    state: () => ({ version, reason: synapse.ready(), ...synapse.state() }),
  };
  const server = await serveAdmin(admin, { log }, last.signal);
  log.info('synapse runs', { version, services: config.services.size, admin: server.address });
  const done = synapse.run(signal);
  const statsd = createStatsdReport(statsdNames(observedNow, version, deps.statsd), { log });
  statsd.configure(config.statsd);
  const status = (): string => synapse.ready() ?? `ready: ${config.services.size} services`;
  const systemd = createNotifier({ env: process.env, status }, { log }, last.signal);
  let starting = true;
  void (async () => {
    const deadline = clock.now() + readyWithin;
    while (synapse.ready() !== null && clock.now() < deadline && !signal.aborted) await sleep(100, signal);
    starting = false;
    systemd.ready(status());
  })();

  const reload = async (): Promise<void> => {
    if (!starting) systemd.reloading();
    const next = await reloaded();
    if (next !== undefined && !signal.aborted) take(next);
    if (!starting) systemd.ready(status());
  };
  /** The new configuration; undefined, with its problems logged, when it cannot be used. */
  const reloaded = async (): Promise<SynapseConfig | undefined> => {
    try {
      const next = await load();
      countReload('ok');
      log.info('configuration read again', { services: next.services.size });
      events.record({ kind: 'configuration_read', level: 'info', reason: `${next.services.size} services` });
      return next;
    } catch (error) {
      countReload('invalid');
      const problems = error instanceof ConfigError ? error.problems : [{ path: '', message: reasonOf(error) }];
      log.error('the new configuration is invalid, the old one stays in force', { problems });
      const reason = problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
      events.record({ kind: 'configuration_refused', level: 'error', reason });
      return undefined;
    }
  };
  const take = (next: SynapseConfig): void => {
    for (const section of ['admin', 'stateFile'] as const) {
      if (!isDeepStrictEqual(next[section], config[section])) log.warn('a change needs a restart', { section });
    }
    synapse.reconfigure(next);
    statsd.configure(next.statsd);
    config = next;
  };
  // One after the other: of two readings of the same files, the later one must win.
  let reloading = Promise.resolve();
  onReload(() => {
    reloading = reloading.then(reload);
  });

  if (!signal.aborted) await once(signal, 'abort');
  systemd.stopping(defaultGrace);
  await done;
  await statsd.end();
  await systemd.flushed();
  last.abort();
  await server.closed;
  log.info('synapse ended');
  finished();
}
