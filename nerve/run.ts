import { aborted } from '../common/async/abort.ts';
import { daemonSignals, defaultGraceMs } from '../common/daemon/lifecycle.ts';
import type { Log } from '../common/daemon/log.ts';
import { createEtcdClient } from '../common/etcd/client/client.ts';
import { type Host, thisHost } from '../common/host.ts';
import { type CheckTypes, ownCheckTypes } from './check.ts';
import { type ConfigSource, loadConfig } from './config/config.ts';
import { type DaemonDeps, NerveDaemon } from './daemon.ts';

/** What nerve uses of the world around it. */
export interface RunDeps {
  readonly log: Log;
  readonly version: string;
  readonly host: Pick<Host, 'files' | 'exec'>;
  readonly openEtcd: DaemonDeps['openEtcd'];
  readonly checkTypes: CheckTypes;
}

/** The real world: this machine, etcd, and nerve's own checks. */
export const realWorld: Omit<RunDeps, 'log' | 'version'> = {
  host: thisHost,
  openEtcd: createEtcdClient,
  checkTypes: ownCheckTypes,
};

/**
 * Runs nerve until SIGTERM or SIGINT.
 * @throws {ConfigError} when the configuration is invalid; another error when the admin address cannot be used
 */
export async function runNerve(source: ConfigSource, deps: RunDeps): Promise<void> {
  const { log, version, host, openEtcd, checkTypes } = deps;
  let daemon: NerveDaemon | undefined;
  // Before anything that takes time: a SIGHUP without a handler would end the process.
  const signals = daemonSignals(log, { graceMs: () => daemon?.shutdownTimeMs ?? defaultGraceMs });
  daemon = await NerveDaemon.start({
    log,
    version,
    files: host.files,
    openEtcd,
    loadConfig: () => loadConfig(source, { log, checkTypes, host }),
    owner: { program: 'nerve', configFile: source.file, env: source.env },
  });
  signals.onReload(() => daemon.reload());
  await aborted(signals.signal);
  await daemon.shutDown();
  signals.finished();
}
