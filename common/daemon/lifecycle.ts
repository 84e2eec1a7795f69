import { clock } from '../async/clock.ts';
import { type Log, reasonOf } from './log.ts';

/** How a daemon is told to end or to read its configuration again. */
export interface DaemonSignals {
  /** Aborts at SIGTERM, SIGINT and after a crash: end in order. */
  readonly signal: AbortSignal;
  /** Whose call SIGHUP becomes. One that came before the handler was there is not lost. */
  onReload(handler: () => void): void;
  /**
   * To be called when everything has ended in order: the process ends now or a moment later. Without it, a connection
   * attempt to a peer that hangs, which grpc-js cannot take back, would hold the process until the grace is over.
   */
  finished(): void;
}

export interface LifecycleOptions {
  /** How long an orderly end may take before the process ends anyway; asked when it begins. Milliseconds, default 15 s. */
  readonly grace?: () => number;
}

/** For last log lines to be written, milliseconds. */
const lingering = 500;

/** Milliseconds. */
export const defaultGrace = 15_000;

/**
 * Takes over the process's signals. SIGTERM and SIGINT ask for an orderly end, a second one ends at once; SIGHUP reloads.
 * An error that nobody caught is logged, ends the process in order, and makes its exit code 1: what a broken promise left
 * behind is unknown, and a supervisor starts a clean one.
 */
export function daemonSignals(log: Log, options: LifecycleOptions = {}): DaemonSignals {
  const { grace = () => defaultGrace } = options;
  const controller = new AbortController();
  let reload: (() => void) | undefined;
  let reloadWaiting = false;

  const end = (code: number): void => {
    // Exit codes only get worse: an orderly end that crashes half-way has failed.
    process.exitCode = Math.max(Number(process.exitCode ?? 0), code);
    if (controller.signal.aborted) return;
    const milliseconds = grace();
    clock
      .setTimeout(() => {
        log.error('the orderly end took too long, ending now', { milliseconds });
        process.exit(1);
      }, milliseconds)
      .unref();
    controller.abort();
  };
  const onEnd = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) {
      log.warn('asked again, ending at once', { signal: name });
      process.exit(1);
    }
    log.info('ending', { signal: name });
    end(0);
  };
  const onCrash = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack : undefined;
    log.error('unexpected error, ending', { reason: reasonOf(error), stack });
    end(1);
  };
  process.on('SIGTERM', onEnd);
  process.on('SIGINT', onEnd);
  process.on('SIGHUP', () => {
    if (reload === undefined) reloadWaiting = true;
    else reload();
  });
  process.on('uncaughtException', onCrash);
  process.on('unhandledRejection', onCrash);

  return {
    signal: controller.signal,
    onReload(handler) {
      reload = handler;
      if (reloadWaiting) handler();
      reloadWaiting = false;
    },
    finished() {
      clock.setTimeout(() => process.exit(), lingering).unref();
    },
  };
}
