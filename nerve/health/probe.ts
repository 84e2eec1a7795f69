import { aborted, linkAbort } from '../../common/async/abort.ts';
import { clock } from '../../common/async/clock.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { formatLatency } from '../../common/wording.ts';
import type { Check } from '../check.ts';

/** The result of one probe. */
export interface ProbeResult {
  readonly outcome: 'pass' | 'fail' | 'timeout';
  readonly milliseconds: number;
  /** Why it did not pass; null when it did. */
  readonly reason: string | null;
}

/** A running probe. */
export interface Probe {
  /** Never rejects. Resolves by the deadline, or by twice the deadline when this process was held up. */
  readonly result: Promise<ProbeResult>;
  /** Resolves when the check itself has returned: after `result` for a check that ignores its signal. */
  readonly settled: Promise<void>;
}

/** A timer that fires this late was delayed by our own process, not by chance. */
const stallMs = 10;

/** Runs a check once. The signal of the check aborts at the deadline, and when `signal` does. */
export function startProbe(check: Check, timeoutMs: number, signal: AbortSignal): Probe {
  // Not AbortSignal.any: in Node 20 its signal stays in memory as long as `signal` when a check leaves a listener on it.
  const deadline = linkAbort(signal);
  const startedAt = clock.now();
  const elapsed = (): number => clock.now() - startedAt;
  const timedOut = (): ProbeResult => {
    return { outcome: 'timeout', milliseconds: elapsed(), reason: reasonOf(deadline.signal.reason) };
  };

  const expire = (): void => deadline.abort(new Error(`no answer within ${formatLatency(timeoutMs)}`));
  let timer = clock.setTimeout(() => {
    const lateMs = elapsed() - timeoutMs;
    // The service may have answered while this process was held up: the probe gets that time back, once. Otherwise a
    // busy moment of the host would make nerve withdraw all its services at the same instant.
    if (lateMs > stallMs) timer = clock.setTimeout(expire, Math.min(lateMs, timeoutMs));
    else expire();
  }, timeoutMs);

  // An async function, so that a check that throws at once has failed too.
  const run = async (): Promise<void> => await check(deadline.signal);
  const returned = run().then(
    (): ProbeResult => ({ outcome: 'pass', milliseconds: elapsed(), reason: null }),
    (error): ProbeResult =>
      deadline.signal.aborted ? timedOut() : { outcome: 'fail', milliseconds: elapsed(), reason: reasonOf(error) },
  );
  const result = Promise.race([returned, aborted(deadline.signal).then(timedOut)]).finally(() => {
    clock.clearTimeout(timer);
    deadline.release();
  });
  return { result, settled: returned.then(() => undefined) };
}
