/**
 * Calls `run` with the signal's reason when `signal` aborts; at once when it has aborted already.
 * @returns a function that removes the listener; may be called more than once
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

/** An abort controller that also aborts, with the same reason, when its parent does. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
  /** Removes the listener from the parent. Call it when the work is over, or a long-lived parent collects listeners. */
  release(): void;
}

/** Makes a controller that aborts with `parent`, or earlier. */
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

/**
 * The promise, or a rejection with the signal's reason as soon as it aborts: for work that takes no signal. The caller
 * closes what the work has open; how the work ends after that is ignored.
 */
export function abortable<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, reject);
    work.then(resolve, reject).finally(release);
  });
}
