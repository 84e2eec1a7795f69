import { shell } from '../../common/exec.ts';
import { reasonOf } from '../../common/log.ts';
import type { HaproxyConfig } from './config.ts';
import { reloadMaster } from './master.ts';

/** Knows when the next reload may begin. */
export interface ReloadPacer {
  /** Milliseconds until it may; 0 when it may now. */
  wait(): number;
  /** One has ended. Failures in a row wait longer and longer. */
  done(worked: boolean): void;
  /** Failures so far count no more; the interval does. */
  forget(): void;
}

const firstFailureWait = 5_000;
const longestFailureWait = 300_000;

/** At least `restart_interval`, lengthened by jitter, between two reloads. */
export function createReloadPacer(
  config: Pick<HaproxyConfig, 'restart_interval' | 'restart_jitter'>,
  now: () => number = () => performance.now(),
  random: () => number = Math.random,
): ReloadPacer {
  let next = 0;
  let failures = 0;
  let soonest = 0;
  return {
    wait: () => Math.max(0, next - now()),
    done(worked) {
      failures = worked ? 0 : failures + 1;
      const pause = failures === 0 ? 0 : Math.min(firstFailureWait * 2 ** (failures - 1), longestFailureWait);
      soonest = now() + config.restart_interval * (1 + config.restart_jitter * random());
      next = Math.max(soonest, now() + pause);
    },
    forget() {
      failures = 0;
      next = Math.min(next, soonest);
    },
  };
}

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
