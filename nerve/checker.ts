import type { Log } from '../common/log.ts';
import { sleep, supervise } from '../common/supervise.ts';
import type { CheckConfig } from './checkconfig.ts';
import { type Health, nextHealth, unknownHealth } from './hysteresis.ts';
import { checkDuration, checkRuns } from './metrics.ts';
import { type ProbeResult, startProbe } from './probe.ts';

/** A check as `status` shows it. */
export interface CheckStatus {
  readonly name: string;
  readonly type: string;
  /** Null until the first result. */
  readonly up: boolean | null;
  readonly last: (ProbeResult & { readonly at: string }) | null;
}

/** One check of a service, run again and again. */
export interface Checker {
  /** Undefined until the first result. */
  readonly up: boolean | undefined;
  readonly status: CheckStatus;
  /** Probes until `signal` aborts; never two at a time. Calls `onResult` after each one. */
  run(onResult: () => void, signal: AbortSignal): Promise<void>;
}

/** A start is spread over the interval, but nobody waits longer than this for a first verdict. Milliseconds. */
const maxStartOffset = 500;

export function createChecker(
  service: string,
  config: CheckConfig,
  options: { readonly interval: number; readonly log: Log },
): Checker {
  const { name, type, timeout, probe: check } = config;
  const { interval, log } = options;
  let health: Health = unknownHealth;
  let last: CheckStatus['last'] = null;

  const take = (result: ProbeResult): void => {
    last = { ...result, at: new Date().toISOString() };
    checkRuns.inc({ service, check: name, result: result.outcome });
    checkDuration.observe({ service, check: name }, result.milliseconds / 1000);
    const before = health.up;
    health = nextHealth(health, result.outcome === 'pass', config);
    if (health.up === before) return;
    const fields = { check: name, milliseconds: Math.round(result.milliseconds) };
    if (health.up) log.info('check passes', fields);
    else log.warn('check fails', { ...fields, reason: result.reason });
  };

  const cycle = async (onResult: () => void, signal: AbortSignal): Promise<void> => {
    await sleep(Math.random() * Math.min(interval, maxStartOffset), signal);
    let pending = false;
    while (!signal.aborted) {
      if (pending) {
        // A check that ignores its deadline is sick, and is not asked again before it lets go.
        take({ outcome: 'timeout', milliseconds: 0, reason: 'the previous probe has not ended' });
      } else {
        pending = true;
        const probe = startProbe(check, timeout, signal);
        void probe.settled.then(() => {
          pending = false;
        });
        const result = await probe.result;
        if (signal.aborted) return; // ended by us: it says nothing about the service
        take(result);
      }
      onResult();
      await sleep(interval, signal);
    }
  };

  return {
    get up() {
      return health.up;
    },
    get status() {
      return { name, type, up: health.up ?? null, last };
    },
    run: (onResult, signal) =>
      supervise((inner) => cycle(onResult, inner), { what: `check ${name} of ${service}`, log }, signal),
  };
}
