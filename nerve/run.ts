import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { type AdminOptions, BadRequest, type ControlRoute, serveAdmin } from '../common/admin.ts';
import { daemonSignals } from '../common/daemon.ts';
import { createEtcdClient } from '../common/etcd/client.ts';
import { createLeasedKeys } from '../common/etcd/lease.ts';
import { isObject } from '../common/formats.ts';
import type { Log } from '../common/log.ts';
import { collectProcessMetrics } from '../common/metrics.ts';
import { ConfigError } from '../common/problem.ts';
import { type Announcer, createEtcdAnnouncer } from './announcer.ts';
import { type LoadOptions, loadConfig, type NerveConfig } from './config.ts';
import { beat } from './heartbeat.ts';
import { reloads } from './metrics.ts';
import { Nerve } from './nerve.ts';
import type { Registry } from './registry.ts';
import { describeState } from './state.ts';

/** How long everything may take to be withdrawn at the end; what is left goes with the lease. Milliseconds. */
const closeTimeout = 5000;

/**
 * Runs nerve until SIGTERM or SIGINT.
 * @throws {ConfigError} when the configuration is wrong; an ordinary error when the admin address cannot be used
 */
export async function runNerve(
  source: LoadOptions,
  deps: { readonly log: Log; readonly version: string },
): Promise<void> {
  const { log, version } = deps;
  // Before anything takes time: a SIGHUP that nobody handles ends a process.
  const { signal, onReload, finished } = daemonSignals(log);
  let config = await loadConfig(source, log);
  collectProcessMetrics();
  // Ends last: withdrawing needs etcd, and who watches the end needs the admin server.
  const last = new AbortController();
  const connect = ({ etcd, ttl }: Registry): Announcer => {
    const client = createEtcdClient(etcd, { log }, last.signal);
    return createEtcdAnnouncer(createLeasedKeys(client, { ttl }, { log }, last.signal));
  };
  const nerve = new Nerve({ log, connect });
  const admin: AdminOptions = {
    ...config.admin,
    ready: () => nerve.ready(),
    state: () => describeState(nerve, version),
    control: { '/api/v1/drain': drainRoute(nerve, true), '/api/v1/undrain': drainRoute(nerve, false) },
  };
  const server = await serveAdmin(admin, { log }, last.signal);
  log.info('nerve runs', {
    version,
    instance_id: config.instanceId,
    services: config.services.size,
    admin: server.address,
  });
  nerve.apply(config);
  let heart = startHeartbeat(config, log, signal);

  const reload = async (): Promise<void> => {
    const next = await reloaded(source, log);
    if (next === undefined || signal.aborted) return;
    if (!isDeepStrictEqual(next.admin, config.admin)) log.warn('a new admin section needs a restart');
    nerve.apply(next);
    if (next.heartbeatPath !== config.heartbeatPath) {
      heart.abort();
      heart = startHeartbeat(next, log, signal);
    }
    config = next;
  };
  // One after the other: of two readings of the same files, the later one must win.
  let reloading = Promise.resolve();
  onReload(() => {
    reloading = reloading.then(reload);
  });

  if (!signal.aborted) await once(signal, 'abort');
  await nerve.close(closeTimeout);
  last.abort();
  await server.closed;
  log.info('nerve ended');
  finished();
}

/** The new configuration; undefined, with its problems logged, when it cannot be used. */
async function reloaded(source: LoadOptions, log: Log): Promise<NerveConfig | undefined> {
  try {
    const config = await loadConfig(source, log);
    reloads.inc({ result: 'ok' });
    log.info('configuration read again', { services: config.services.size });
    return config;
  } catch (error) {
    reloads.inc({ result: 'invalid' });
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

function drainRoute(nerve: Nerve, drained: boolean): ControlRoute {
  return (body) => {
    const { service, instance } = isObject(body) ? body : {};
    if (typeof service !== 'string') throw new BadRequest('name a service: {"service": "api"}');
    if (instance !== undefined && typeof instance !== 'string') throw new BadRequest('instance must be a string');
    return nerve.drain(service, drained, instance);
  };
}
