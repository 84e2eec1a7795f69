import { clock } from '../../common/async/clock.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import type { Check } from '../check.ts';

/** What came of one probe. */
export interface ProbeResult {
  readonly outcome: 'pass' | 'fail' | 'timeout';
  readonly milliseconds: number;
  /** Why it did not pass. */
  readonly reason: string | null;
}

/** A probe under way. */
export interface Probe {
  /** Never rejects, and never comes later than the timeout; or twice that, when this process was held up. */
  readonly result: Promise<ProbeResult>;
  /** Resolves when the check has really let go, which is later only for one that ignores its signal. */
  readonly settled: Promise<void>;
}

/** A timer this late was held up by our own process, not by chance. Milliseconds. */
const stall = 10;

/** Runs a check once. Its signal aborts at the timeout (milliseconds), and when `signal` does. */
export function startProbe(check: Check, timeout: number, signal: AbortSignal): Probe {
  const controller = new AbortController();
  const start = clock.now();
  const took = (): number => clock.now() - start;

  // Not AbortSignal.any: in Node 20 its signal stays in memory for as long as `signal` when a check leaves a listener on it.
  const onAbort = (): void => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  const expire = (): void => controller.abort(new Error(`no result within ${timeout} ms`));
  let timer = clock.setTimeout(() => {
    const late = took() - timeout;
    // While this process was held up, the service may have answered long ago: it gets that time back, once. Without
    // this, a busy moment of the host would make nerve withdraw everything at the same instant.
    if (late > stall) timer = clock.setTimeout(expire, Math.min(late, timeout));
    else expire();
  }, timeout);

  const aborted = new Promise<ProbeResult>((resolve) => {
    const onEnd = (): void => {
      resolve({ outcome: 'timeout', milliseconds: took(), reason: reasonOf(controller.signal.reason) });
    };
    if (controller.signal.aborted) onEnd();
    else controller.signal.addEventListener('abort', onEnd, { once: true });
  });
  // In a function of its own: a check that throws instead of rejecting is a failed one too.
  const run = async (): Promise<void> => await check(controller.signal);
  const ended = run().then(
    (): ProbeResult => ({ outcome: 'pass', milliseconds: took(), reason: null }),
    (error): ProbeResult =>
      controller.signal.aborted
        ? { outcome: 'timeout', milliseconds: took(), reason: reasonOf(controller.signal.reason) }
        : { outcome: 'fail', milliseconds: took(), reason: reasonOf(error) },
  );
  const result = Promise.race([ended, aborted]).finally(() => {
    clock.clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  });
  return { result, settled: ended.then(() => undefined) };
}
