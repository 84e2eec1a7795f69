import { sleep } from '../async/sleep.ts';
import type { Host } from '../host.ts';
import { exec } from './exec.ts';
import { type Log, reasonOf } from './log.ts';

/** What a notifier needs from outside. */
export interface NotifierOptions {
  /** systemd asks for notifications with `NOTIFY_SOCKET`, and for a watchdog with `WATCHDOG_USEC`. */
  readonly env: NodeJS.ProcessEnv;
  /** The unit's status line, read each time that the watchdog is fed. */
  readonly status: () => string;
}

/** How long `systemd-notify` may take. It waits until systemd has read the message. */
const timeoutMs = 5000;

/**
 * Tells systemd the state of the service (sd_notify(3)) when the unit asks for it (`Type=notify`). Node.js has no unix
 * datagram sockets, so systemd's own program `systemd-notify` sends the messages; the unit needs `NotifyAccess=all`, since
 * that program is not the main process. No method fails or waits for systemd, and without systemd none does anything.
 */
export class SystemdNotifier {
  readonly #options: NotifierOptions;
  readonly #log: Log;
  readonly #exec: Host['exec'];
  #sending = Promise.resolve();
  #failed = false;

  constructor(options: NotifierOptions, deps: { readonly log: Log; readonly exec?: Host['exec'] }) {
    this.#options = options;
    this.#log = deps.log;
    this.#exec = deps.exec ?? exec;
  }

  /** Feeds the watchdog, if the unit has one (`WatchdogSec=`), together with the status, until `signal` aborts. */
  async feedWatchdog(signal: AbortSignal): Promise<void> {
    const { env, status } = this.#options;
    const limitMs = watchdogLimitMs(env);
    if (!env.NOTIFY_SOCKET || limitMs === undefined) return;
    while (!signal.aborted) {
      // Runs on the event loop that also probes and renews the lease: when that hangs, systemd restarts the daemon.
      this.#send('WATCHDOG=1', statusLine(status()));
      await this.#sending;
      await sleep(limitMs / 3, signal);
    }
  }

  /** The start, or reading a new configuration, is complete. */
  ready(status: string): void {
    this.#send('READY=1', statusLine(status));
  }

  /** A new configuration is being read; {@link ready} follows. */
  reloading(): void {
    // systemd compares the time (CLOCK_MONOTONIC, microseconds), so as not to take an older READY for the answer.
    this.#send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /** The shutdown has begun and may take this long. */
  stopping(graceMs: number): void {
    this.#send('STOPPING=1', `EXTEND_TIMEOUT_USEC=${Math.round(graceMs * 1000)}`);
  }

  /** Resolves when every message was sent or has failed. */
  flushed(): Promise<void> {
    return this.#sending;
  }

  /** One message after the other: systemd takes the last state it reads for the present one. */
  #send(...variables: readonly string[]): void {
    if (this.#options.env.NOTIFY_SOCKET) this.#sending = this.#sending.then(() => this.#run(variables));
  }

  async #run(variables: readonly string[]): Promise<void> {
    const { env } = this.#options;
    try {
      const argv = ['systemd-notify', `--pid=${process.pid}`, ...variables] as const;
      const { code, stderr } = await this.#exec(argv, { timeoutMs: timeoutMs, env });
      if (code !== 0) throw new Error(stderr.trim() || `exit code ${code}`);
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) this.#log.warn('systemd cannot be notified', { reason: reasonOf(error) });
      this.#failed = true;
    }
  }
}

function statusLine(text: string): string {
  return `STATUS=${text.replace(/\s+/g, ' ').slice(0, 200)}`;
}

/** The watchdog's limit when it is meant for this process (sd_watchdog_enabled(3)). */
function watchdogLimitMs({ WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid }: NodeJS.ProcessEnv): number | undefined {
  if (!microseconds || !/^\d+$/.test(microseconds)) return undefined;
  return pid === undefined || pid === '' || Number(pid) === process.pid ? Number(microseconds) / 1000 : undefined;
}
