import { clock } from '../async/clock.ts';
import { type Log, reasonOf } from './log.ts';

/** How a daemon learns that it has to shut down, or to read its configuration again. */
export interface DaemonSignals {
  /** Aborts at SIGTERM, SIGINT and after a crash: the daemon shuts down cleanly then. */
  readonly signal: AbortSignal;
  /** Calls `handler` at every SIGHUP, and at once when SIGHUP came before there was a handler. */
  onReload(handler: () => void): void;
  /**
   * Call it when the clean shutdown is complete: the process exits now or half a second later. Without it, a connection
   * attempt to a peer that hangs, which grpc-js cannot cancel, would keep the process until the grace period is over.
   */
  finished(): void;
}

/** How a daemon shuts down. */
export interface LifecycleOptions {
  /** Called when a shutdown begins: how many milliseconds it may take before the process exits anyway. Default 15 s. */
  readonly graceMs?: () => number;
}

/** How long a shutdown may take unless the daemon says otherwise. */
export const defaultGraceMs = 15_000;

/** Time for the last log lines to be written. */
const lingerMs = 500;

/**
 * Takes over the process's signals. The first SIGTERM or SIGINT begins a clean shutdown, the second one exits at once;
 * SIGHUP reloads. An uncaught error is logged, begins a clean shutdown and makes the exit code 1: after it the state of
 * the process is unknown, and a supervisor such as systemd starts a new one.
 */
export function daemonSignals(log: Log, { graceMs = () => defaultGraceMs }: LifecycleOptions = {}): DaemonSignals {
  const signals = new ProcessSignals(log, graceMs);
  signals.install();
  return {
    signal: signals.signal,
    onReload: (handler) => signals.onReload(handler),
    finished: () => signals.finished(),
  };
}

class ProcessSignals {
  readonly #log: Log;
  readonly #graceMs: () => number;
  readonly #shutdown = new AbortController();
  #reload: (() => void) | undefined;
  #isReloadDue = false;

  constructor(log: Log, graceMs: () => number) {
    this.#log = log;
    this.#graceMs = graceMs;
  }

  get signal(): AbortSignal {
    return this.#shutdown.signal;
  }

  install(): void {
    const onStop = (name: NodeJS.Signals): void => this.#onStop(name);
    const onCrash = (error: unknown): void => this.#onCrash(error);
    process.on('SIGTERM', onStop);
    process.on('SIGINT', onStop);
    process.on('SIGHUP', () => this.#onHangup());
    process.on('uncaughtException', onCrash);
    process.on('unhandledRejection', onCrash);
  }

  onReload(handler: () => void): void {
    this.#reload = handler;
    if (this.#isReloadDue) handler();
    this.#isReloadDue = false;
  }

  finished(): void {
    clock.setTimeout(() => process.exit(), lingerMs).unref();
  }

  #onStop(name: NodeJS.Signals): void {
    if (this.signal.aborted) {
      this.#log.warn('second signal, exiting at once', { signal: name });
      process.exit(1);
    }
    this.#log.info('shutting down', { signal: name });
    this.#begin(0);
  }

  #onCrash(error: unknown): void {
    const stack = error instanceof Error ? error.stack : undefined;
    this.#log.error('unexpected error, shutting down', { reason: reasonOf(error), stack });
    this.#begin(1);
  }

  #onHangup(): void {
    if (this.#reload === undefined) this.#isReloadDue = true;
    else this.#reload();
  }

  #begin(code: number): void {
    // Exit codes only get worse: a shutdown that crashes half-way has failed.
    process.exitCode = Math.max(Number(process.exitCode ?? 0), code);
    if (this.signal.aborted) return;
    const milliseconds = this.#graceMs();
    clock
      .setTimeout(() => {
        this.#log.error('the shutdown took too long, exiting now', { milliseconds });
        process.exit(1);
      }, milliseconds)
      .unref();
    this.#shutdown.abort();
  }
}
