import type { LogFields as Fields, Log, LogLevel } from '../../../common/daemon/log.ts';
import type { Scheduler } from '../engine/scheduler.ts';

/** What happened in a run, in order, to be read after a failure. */
export class History {
  /** From which level on the daemons' log lines are noted. */
  readonly level: LogLevel = (process.env.SIMULATION_LOG as LogLevel | undefined) ?? 'warn';
  readonly #scheduler: Scheduler;
  readonly #lines: string[] = [];
  /** Lines that each log wrote, by the minute: `nerve app-1` → [7, 0, 2]. */
  readonly linesByMinute = new Map<string, number[]>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  note(text: string): void {
    this.#lines.push(`${(this.#scheduler.now() / 1_000).toFixed(3).padStart(10)} s  ${text}`);
  }

  /** Drops what was noted. */
  forget(): void {
    this.#lines.length = 0;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** A log whose lines are counted, and noted from `level` on. */
  log(name: string, level: LogLevel = 'info'): Log {
    // A daemon that starts again goes on counting.
    const counts = this.linesByMinute.get(name) ?? [];
    this.linesByMinute.set(name, counts);
    return this.#log(name, counts, order.indexOf(level), {});
  }

  #log(name: string, counts: number[], least: number, bound: Fields): Log {
    const at =
      (level: LogLevel) =>
      (message: string, fields: Fields = {}): void => {
        if (level !== 'debug') {
          const minute = Math.floor(this.#scheduler.now() / 60_000);
          counts[minute] = (counts[minute] ?? 0) + 1;
        }
        if (order.indexOf(level) < least) return;
        const all = { ...bound, ...fields };
        const rest = Object.entries(all).map(
          ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
        );
        this.note(`${name} ${level}: ${[message, ...rest].join(' ')}`);
      };
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => this.#log(name, counts, least, { ...bound, ...fields }),
    };
  }
}

const order: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
