import { shell } from '../../../common/daemon/exec.ts';
import { reasonOf } from '../../../common/daemon/log.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { reloadMaster } from './master.ts';

/**
 * Asks for a reload once: through the master socket where there is one, by the user's command otherwise.
 * @throws when it did not work, with HAProxy's or the command's own words
 */
export async function triggerReload(config: HaproxyConfig, signal: AbortSignal): Promise<void> {
  if (config.master_socket_path !== null) {
    return await reloadMaster(config.master_socket_path, { timeout: config.reload_timeout }, signal);
  }
  if (config.reload_command === null) throw new Error('there is neither a master socket nor a reload_command');
  const {
    code,
    signal: ending,
    stderr,
    stdout,
  } = await shell(config.reload_command, { timeout: config.reload_timeout }, signal);
  if (code === 0) return;
  const said = reasonOf(`${stderr}${stdout}`.trim().slice(-500));
  throw new Error(`reload_command ended with ${code === null ? ending : `exit code ${code}`}: ${said}`);
}
