import { reasonOf } from '../../../common/daemon/log.ts';
import type { Host } from '../../../common/host.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { reloadMaster } from './master.ts';

/** What {@link triggerReload} needs. */
export interface ReloadDeps {
  readonly config: HaproxyConfig;
  readonly host: Pick<Host, 'exec' | 'connectUnix'>;
}

/**
 * Asks HAProxy to reload once: through the master socket where there is one, otherwise with the user's `reload_command`.
 * @throws when it did not work, with the message of HAProxy or of the command
 */
export async function triggerReload({ config, host }: ReloadDeps, signal: AbortSignal): Promise<void> {
  const { master_socket_path: master, reload_command: command, reload_timeout: timeoutMs } = config;
  if (master !== null) return await reloadMaster(master, { host, timeoutMs }, signal);
  if (command === null) throw new Error('there is neither a master socket nor a reload_command');
  const { code, signal: ending, stderr, stdout } = await host.exec(['/bin/sh', '-c', command], { timeoutMs }, signal);
  if (code === 0) return;
  const output = reasonOf(`${stderr}${stdout}`.trim().slice(-500));
  throw new Error(`reload_command ended with ${code === null ? ending : `exit code ${code}`}: ${output}`);
}
