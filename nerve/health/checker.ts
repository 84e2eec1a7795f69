import { clock } from '../../common/async/clock.ts';
import { sleep, supervise } from '../../common/async/supervise.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { CheckConfig } from '../config/check-config.ts';
import { probeDuration, probeLateness, probes } from '../metrics.ts';
import { type ProbeResult, startProbe } from './probe.ts';
import { firstPause, type Health, nextHealth, nextPause, unknownHealth } from './rise-fall.ts';

/** A result, and when it came, ISO 8601. */
export interface DatedResult extends ProbeResult {
  readonly at: string;
}

/** A check as `status` shows it. */
export interface CheckStatus {
  readonly name: string;
  readonly type: string;
  /** Null until the first result. */
  readonly up: boolean | null;
  readonly last: DatedResult | null;
  /** The last few, newest first. */
  readonly recent: readonly DatedResult[];
}

/** One check of a service, run again and again. */
export interface Checker {
  /** Undefined until the first result. */
  readonly up: boolean | undefined;
  readonly status: CheckStatus;
  /** Probes until `signal` aborts; never two at a time. Calls `onResult` after each one. */
  run(onResult: () => void, signal: AbortSignal): Promise<void>;
}

/** How many results are kept for `status`. */
const keptResults = 5;

export function createChecker(service: string, config: CheckConfig, deps: { readonly log: Log }): Checker {
  const { name, type, timeout, probe: check } = config;
  const { log } = deps;
  let health: Health = unknownHealth;
  let recent: readonly DatedResult[] = [];

  const take = (result: ProbeResult): void => {
    recent = [{ ...result, at: clock.date().toISOString() }, ...recent].slice(0, keptResults);
    probes.inc({ service, check: name, result: result.outcome });
    probeDuration.observe({ service, check: name }, result.milliseconds / 1000);
    const before = health.up;
    health = nextHealth(health, result.outcome === 'pass', config);
    if (health.up === before) return;
    const fields = { check: name, milliseconds: Math.round(result.milliseconds) };
    if (health.up) log.info('check passes', fields);
    else log.warn('check fails', { ...fields, reason: result.reason });
  };

  const cycle = async (onResult: () => void, signal: AbortSignal): Promise<void> => {
    await pause(firstPause(config), signal);
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
      await pause(nextPause(config, health), signal);
    }
  };

  /** How late we come out of it is how far behind this process is. */
  const pause = async (milliseconds: number, signal: AbortSignal): Promise<void> => {
    const due = clock.now() + milliseconds;
    await sleep(milliseconds, signal);
    if (!signal.aborted) probeLateness.observe(Math.max(0, clock.now() - due) / 1000);
  };

  return {
    get up() {
      return health.up;
    },
    get status() {
      return { name, type, up: health.up ?? null, last: recent[0] ?? null, recent };
    },
    run: (onResult, signal) =>
      supervise((inner) => cycle(onResult, inner), { what: `check ${name} of ${service}`, log }, signal),
  };
}
