import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import { supervise } from '../../common/async/supervise.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { CheckConfig } from '../config/check-config.ts';
import { probeDuration, probeLateness, probes } from '../metrics.ts';
import type { CheckStatus } from '../status-shape.ts';
import { firstPause, nextPause } from './pace.ts';
import { type ProbeResult, startProbe } from './probe.ts';
import { type CheckHealth, nextHealth, unknownHealth } from './rise-fall.ts';

/** Number of results that `status` shows. */
const recentResults = 5;

/** Probes one check of a service again and again, and keeps its health. */
export class ProbeWorker {
  readonly #service: string;
  readonly #check: CheckConfig;
  readonly #log: Log;
  #health: CheckHealth = unknownHealth;
  #recent: CheckStatus['recent'] = [];

  constructor(service: string, check: CheckConfig, deps: { readonly log: Log }) {
    this.#service = service;
    this.#check = check;
    this.#log = deps.log;
  }

  /** Undefined until the first result. */
  get up(): boolean | undefined {
    return this.#health.up;
  }

  /** The check as `status` shows it. */
  get status(): CheckStatus {
    const { name, type } = this.#check;
    return { name, type, up: this.up ?? null, last: this.#recent[0] ?? null, recent: this.#recent };
  }

  /**
   * Probes until `signal` aborts, one probe at a time; the first one within `spreadMs`. Calls `onResult` after each result.
   */
  run(onResult: () => void, spreadMs: number, signal: AbortSignal): Promise<void> {
    const what = `check ${this.#check.name} of ${this.#service}`;
    return supervise((inner) => this.#probeLoop(onResult, spreadMs, inner), { what, log: this.#log }, signal);
  }

  async #probeLoop(onResult: () => void, spreadMs: number, signal: AbortSignal): Promise<void> {
    const { timeoutMs, probe: check } = this.#check;
    await pause(firstPause(this.#check, spreadMs), signal);
    let running = false;
    while (!signal.aborted) {
      if (running) {
        // A check that ignores its deadline counts as failed, and gets no second probe before the first one returns.
        this.#record({ outcome: 'timeout', milliseconds: 0, reason: 'the previous probe is still running' });
      } else {
        running = true;
        const probe = startProbe(check, timeoutMs, signal);
        void probe.settled.then(() => {
          running = false;
        });
        const result = await probe.result;
        if (signal.aborted) return; // nerve ended this probe: its result says nothing about the service
        this.#record(result);
      }
      onResult();
      await pause(nextPause(this.#check, this.#health), signal);
    }
  }

  #record(result: ProbeResult): void {
    const labels = { service: this.#service, check: this.#check.name };
    this.#recent = [{ ...result, at: clock.date().toISOString() }, ...this.#recent].slice(0, recentResults);
    probes.inc({ ...labels, result: result.outcome });
    probeDuration.observe(labels, result.milliseconds / 1000);
    const before = this.#health.up;
    this.#health = nextHealth(this.#health, result.outcome === 'pass', this.#check);
    if (this.#health.up === before) return;
    const fields = { check: this.#check.name, milliseconds: Math.round(result.milliseconds) };
    if (this.#health.up) this.#log.info('check passes', fields);
    else this.#log.warn('check fails', { ...fields, reason: result.reason });
  }
}

/** Sleeps, and measures how late this process wakes up. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const due = clock.now() + ms;
  await sleep(ms, signal);
  if (!signal.aborted) probeLateness.observe(Math.max(0, clock.now() - due) / 1000);
}
