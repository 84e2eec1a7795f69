import { clock } from './clock.ts';

/**
 * Calls `run` with the signal's reason when `signal` aborts; at once when it has aborted already.
 * @returns a function that takes the listener away; safe to call more than once
 */
export function onAbort(signal: AbortSignal, run: (reason: unknown) => void): () => void {
  if (signal.aborted) {
    run(signal.reason);
    return () => {};
  }
  const listener = (): void => run(signal.reason);
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** A controller of its own that also aborts, with the same reason, when its parent does. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
  /** Takes the listener off the parent: to be called when the work is over, or a long-lived parent collects listeners. */
  release(): void;
}

/** Makes a signal that ends with `parent`, or earlier. */
export function linkAbort(parent: AbortSignal): LinkedAbort {
  const controller = new AbortController();
  const release = onAbort(parent, (reason) => controller.abort(reason));
  return { signal: controller.signal, abort: (reason) => controller.abort(reason), release };
}

/** Resolves when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    onAbort(signal, () => resolve());
  });
}

/** Aborts after `delayMs` with a TimeoutError, as `AbortSignal.timeout` does, by the clock in use. */
export function timeoutSignal(delayMs: number): AbortSignal {
  const controller = new AbortController();
  const error = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
  clock.setTimeout(() => controller.abort(error), delayMs).unref();
  return controller.signal;
}
