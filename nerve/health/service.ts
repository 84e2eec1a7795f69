import { setMaxListeners } from 'node:events';
import { clock } from '../../common/async/clock.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { ServiceConfig } from '../config/service-config.ts';
import { prepare, transitions } from '../metrics.ts';
import { type CheckStatus, createChecker } from './checker.ts';

export type Verdict = 'up' | 'down' | 'unknown';

/** The health of one service, from all its checks. */
export interface Service {
  readonly config: ServiceConfig;
  /** Unknown until every check has a result, or one of them is down. */
  readonly verdict: Verdict;
  /** Since when, ISO 8601. */
  readonly since: string;
  readonly checks: readonly CheckStatus[];
  /** Runs the checks until `signal` aborts; calls `onVerdict` at the first verdict and whenever it changes. */
  run(onVerdict: (verdict: 'up' | 'down') => void, signal: AbortSignal): Promise<void>;
}

/** A service without checks is up. */
export function createService(config: ServiceConfig, deps: { readonly log: Log }): Service {
  const { name } = config;
  const log = deps.log.child({ service: name });
  prepare(
    name,
    config.checks.map((check) => check.name),
  );
  const checkers = config.checks.map((check) => createChecker(name, check, { log }));
  let verdict: Verdict = 'unknown';
  let since = clock.date().toISOString();

  const judge = (): Verdict => {
    if (checkers.some((checker) => checker.up === false)) return 'down';
    return checkers.every((checker) => checker.up === true) ? 'up' : 'unknown';
  };

  return {
    config,
    get verdict() {
      return verdict;
    },
    get since() {
      return since;
    },
    get checks() {
      return checkers.map((checker) => checker.status);
    },
    async run(onVerdict, signal) {
      // Each check listens to it.
      setMaxListeners(0, signal);
      const update = (): void => {
        const next = judge();
        // Once known it never becomes unknown again: a check keeps its last health.
        if (next === verdict || next === 'unknown' || signal.aborted) return;
        verdict = next;
        since = clock.date().toISOString();
        transitions.inc({ service: name, to: next });
        if (next === 'up') log.info('service is up');
        else log.warn('service is down');
        onVerdict(next);
      };
      update();
      await Promise.all(checkers.map((checker) => checker.run(update, signal)));
    },
  };
}
