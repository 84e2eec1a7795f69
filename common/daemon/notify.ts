import { sleep } from '../async/sleep.ts';
import { exec } from './exec.ts';
import { type Log, reasonOf } from './log.ts';

/**
 * Tells systemd how the service is (sd_notify(3)), when it asks to be told: a unit with `Type=notify`. Node has no unix
 * datagram sockets, so systemd's own program `systemd-notify` sends; the unit needs `NotifyAccess=all`, since that is
 * another process than the main one. Nothing here ever fails, waits for systemd, or does anything elsewhere.
 */
export interface Notifier {
  /** The start is over. */
  ready(status: string): void;
  /** A new configuration is being read; {@link ready} says when that is over. */
  reloading(): void;
  /** The orderly end has begun; it may take this many milliseconds. */
  stopping(milliseconds: number): void;
  /** Resolves when everything was sent, or could not be. */
  flushed(): Promise<void>;
}

/** How long `systemd-notify` may take. It waits until systemd has read the message. Milliseconds. */
const timeout = 5000;

/** Feeds the watchdog, if the unit has one (`WatchdogSec=`), with `status` as the unit's status, until `signal` aborts. */
export function createNotifier(
  options: { readonly env: NodeJS.ProcessEnv; readonly status: () => string },
  deps: { readonly log: Log },
  signal: AbortSignal,
): Notifier {
  const { env, status } = options;
  const { log } = deps;
  let sending = Promise.resolve();
  let failed = false;

  const run = async (variables: readonly string[]): Promise<void> => {
    try {
      const { code, stderr } = await exec(['systemd-notify', `--pid=${process.pid}`, ...variables], { timeout, env });
      if (code !== 0) throw new Error(stderr.trim() || `exit code ${code}`);
      failed = false;
    } catch (error) {
      if (!failed) log.warn('systemd cannot be notified', { reason: reasonOf(error) });
      failed = true;
    }
  };
  // One after the other: systemd takes the last state for the present one.
  const send = (...variables: readonly string[]): void => {
    if (env.NOTIFY_SOCKET) sending = sending.then(() => run(variables));
  };
  const statusLine = (text: string): string => `STATUS=${text.replace(/\s+/g, ' ').slice(0, 200)}`;

  const feed = async (interval: number): Promise<void> => {
    while (!signal.aborted) {
      // From the event loop that also probes and renews the lease: when that hangs, systemd is to restart us.
      send('WATCHDOG=1', statusLine(status()));
      await sending;
      await sleep(interval, signal);
    }
  };
  const limit = watchdogLimit(env);
  if (env.NOTIFY_SOCKET && limit !== undefined) void feed(limit / 3);

  return {
    ready: (text) => send('READY=1', statusLine(text)),
    // systemd wants to know when (CLOCK_MONOTONIC, microseconds), so as not to take an older READY for the answer.
    reloading: () => send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: (milliseconds) => send('STOPPING=1', `EXTEND_TIMEOUT_USEC=${Math.round(milliseconds * 1000)}`),
    flushed: () => sending,
  };
}

/** Milliseconds, when the watchdog is meant for this process (sd_watchdog_enabled(3)). */
function watchdogLimit({ WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid }: NodeJS.ProcessEnv): number | undefined {
  if (!microseconds || !/^\d+$/.test(microseconds)) return undefined;
  return pid === undefined || pid === '' || Number(pid) === process.pid ? Number(microseconds) / 1000 : undefined;
}
