import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { type AdminOptions, serveAdmin } from '../common/admin/admin.ts';
import type { AdminConfig } from '../common/admin/options.ts';
import { daemonSignals } from '../common/cli/daemon.ts';
import { ConfigError } from '../common/config/problem.ts';
import { defaultSocket, defaultStateFile, type Owner } from '../common/config/source-map.ts';
import { defaultGrace } from '../common/daemon/lifecycle.ts';
import type { Log } from '../common/daemon/log.ts';
import { countReload, startMetrics } from '../common/daemon/metrics.ts';
import { createNotifier } from '../common/daemon/notify.ts';
import { createEtcdClient } from '../common/etcd/client/client.ts';
import { createLeasedKeys } from '../common/etcd/keys/leased-keys.ts';
import { createStatsdReport } from '../common/statsd/report.ts';
import { openDrains } from './announce/drain-store.ts';
import { type Announcer, createEtcdAnnouncer } from './announce/etcd-announcer.ts';
import type { Registry } from './announce/registries.ts';
import { type LoadOptions, loadConfig, type NerveConfig } from './config/config.ts';
import { controlRoutes } from './control.ts';
import { beat } from './heartbeat.ts';
import { observe } from './metrics.ts';
import { Nerve, type OnFound } from './nerve.ts';
import { shutDown, shutdownTime } from './shutdown.ts';
import { describeState, observed } from './state.ts';
import { statsdNames } from './statsd.ts';

/**
 * Runs nerve until SIGTERM or SIGINT.
 * @throws {ConfigError} when the configuration is wrong; an ordinary error when the admin address cannot be used
 */
export async function runNerve(
  source: LoadOptions,
  deps: { readonly log: Log; readonly version: string },
): Promise<void> {
  const { log, version } = deps;
  let grace = defaultGrace;
  // Before anything takes time: a SIGHUP that nobody handles ends a process.
  const { signal, onReload, finished } = daemonSignals(log, { grace: () => grace });
  let config = await loadConfig(source, log);
  grace = shutdownTime(config.shutdown);
  // Ends last: withdrawing needs etcd, and who watches the end needs the admin server.
  const last = new AbortController();
  const owner: Owner = { program: 'nerve', configFile: source.file, env: source.env };
  const stateFile = config.stateFile ?? (await defaultStateFile(owner));
  const drains = await openDrains(stateFile === false ? null : stateFile, log);
  const nerve = new Nerve({
    log,
    drains,
    connect: (registry, found) => connectEtcd(registry, found, log, last.signal),
  });
  startMetrics('nerve', { version, ready: () => nerve.ready() === null });
  observe(() => observed(nerve));
  const admin: AdminOptions = {
    ...(await adminSection(config.admin, owner)),
    ready: () => nerve.ready(),
    state: () => describeState(nerve, version),
    control: controlRoutes(nerve, drains, () => config.drainTime),
  };
  const server = await serveAdmin(admin, { log }, last.signal);
  log.info('nerve runs', {
    version,
    instance_id: config.instanceId,
    services: config.services.size,
    admin: server.address,
    control_socket: admin.control_socket,
    state_file: stateFile,
  });
  nerve.apply(config);
  const statsd = createStatsdReport(statsdNames(nerve, version), { log });
  statsd.configure(config.statsd);
  let heart = startHeartbeat(config, log, signal);
  const status = (): string => nerve.ready() ?? `ready: ${nerve.slots.size} services`;
  const systemd = createNotifier({ env: process.env, status }, { log }, last.signal);
  // Not when everything is announced: etcd may be away, and systemd would end a nerve that works.
  systemd.ready(status());

  const reload = async (): Promise<void> => {
    systemd.reloading();
    const next = await reloaded(source, log);
    if (next !== undefined && !signal.aborted) take(next);
    systemd.ready(status());
  };
  const take = (next: NerveConfig): void => {
    if (!isDeepStrictEqual(next.admin, config.admin)) log.warn('a new admin section needs a restart');
    if (next.stateFile !== config.stateFile) log.warn('a new state_file_path needs a restart');
    nerve.apply(next);
    statsd.configure(next.statsd);
    if (next.heartbeatPath !== config.heartbeatPath) {
      heart.abort();
      heart = startHeartbeat(next, log, signal);
    }
    config = next;
    grace = shutdownTime(config.shutdown);
  };
  // One after the other: of two readings of the same files, the later one must win.
  let reloading = Promise.resolve();
  onReload(() => {
    reloading = reloading.then(reload);
  });

  if (!signal.aborted) await once(signal, 'abort');
  systemd.stopping(grace);
  await shutDown(nerve, config.shutdown, log);
  await drains.saved();
  await statsd.end();
  await systemd.flushed();
  last.abort();
  await server.closed;
  log.info('nerve ended');
  finished();
}

/** With the default control socket, when none is named. */
async function adminSection(admin: AdminConfig, owner: Owner) {
  if (admin.control_socket !== null) return admin;
  return { ...admin, control_socket: await defaultSocket(owner), socketOptional: true };
}

/** The new configuration; undefined, with its problems logged, when it cannot be used. */
async function reloaded(source: LoadOptions, log: Log): Promise<NerveConfig | undefined> {
  try {
    const config = await loadConfig(source, log);
    countReload('ok');
    log.info('configuration read again', { services: config.services.size });
    return config;
  } catch (error) {
    countReload('invalid');
    const problems = error instanceof ConfigError ? error.problems : [{ path: '', message: String(error) }];
    log.error('the new configuration is invalid, the old one stays in force', { problems });
    return undefined;
  }
}

function startHeartbeat({ heartbeatPath }: NerveConfig, log: Log, signal: AbortSignal): AbortController {
  const heart = new AbortController();
  signal.addEventListener('abort', () => heart.abort(), { once: true });
  if (heartbeatPath !== null) void beat(heartbeatPath, log, heart.signal);
  return heart;
}

/** Connects to an etcd cluster, under a lease of its own. All ends when `signal` aborts. */
export function connectEtcd({ etcd, ttl }: Registry, found: OnFound, log: Log, signal: AbortSignal): Announcer {
  const client = createEtcdClient(etcd, { log }, signal);
  return createEtcdAnnouncer(
    (onFound) => createLeasedKeys(client, { ttlSeconds: ttl, onFound }, { log }, signal),
    found,
  );
}
