import { clock } from '../async/clock.ts';
import type { Log, LogFields, LogLevel } from './log.ts';

/** How many lines may be written. */
export interface LogLimit {
  /** Lines at once after a quiet time. */
  readonly burst: number;
  /** One more line after each such time, in milliseconds. */
  readonly intervalMs: number;
}

/** Ten lines at once, then one every 10 s: at most 16 in any minute. */
export const defaultLogLimit: LogLimit = { burst: 10, intervalMs: 10_000 };

/** For lines that tell of the work itself: 60 lines at once, then one per second. */
export const serviceLogLimit: LogLimit = { burst: 60, intervalMs: 1_000 };

/**
 * Writes at most so many warnings, for messages whose number others decide: those who write into a registry, or a server that
 * refuses everything. A line that follows lines left out says how many (`omitted`).
 */
export class LimitedLog {
  readonly #log: Pick<Log, LogLevel>;
  readonly #limit: LogLimit;
  #tokens: number;
  #filledAt = clock.now();
  #omitted = 0;

  constructor(log: Pick<Log, LogLevel>, limit: LogLimit = defaultLogLimit) {
    this.#log = log;
    this.#limit = limit;
    this.#tokens = limit.burst;
  }

  warn(message: string, fields: LogFields = {}): void {
    this.write('warn', message, fields);
  }

  /** The same for a line of any level. */
  write(level: LogLevel, message: string, fields: LogFields): void {
    const { burst, intervalMs } = this.#limit;
    const now = clock.now();
    const filled = Math.floor((now - this.#filledAt) / intervalMs);
    this.#tokens = Math.min(burst, this.#tokens + filled);
    this.#filledAt = this.#tokens === burst ? now : this.#filledAt + filled * intervalMs;
    if (this.#tokens === 0) {
      this.#omitted += 1;
      return;
    }
    this.#tokens -= 1;
    this.#log[level](message, { ...fields, ...(this.#omitted > 0 && { omitted: this.#omitted }) });
    this.#omitted = 0;
  }
}

/**
 * A log that limits each message about each service (the field `service`), apart from debug lines: who may write records of one
 * service can change them a thousand times a second, and must not fill the log with that, nor hide what is said of others.
 */
export function limitEachService(log: Log, limit: LogLimit = serviceLogLimit): Log {
  const logs = new Map<string, LimitedLog>();
  const limited = (level: LogLevel, message: string, fields: LogFields): void => {
    if (typeof fields.service !== 'string') {
      log[level](message, fields);
      return;
    }
    const key = `${fields.service} ${message}`;
    let one = logs.get(key);
    if (one === undefined) {
      one = new LimitedLog(log, limit);
      logs.set(key, one);
    }
    one.write(level, message, fields);
  };
  const make = (common: LogFields): Log => {
    const at =
      (level: LogLevel) =>
      (message: string, fields: LogFields = {}): void =>
        limited(level, message, { ...common, ...fields });
    return {
      debug: (message, fields = {}) => log.debug(message, { ...common, ...fields }),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => make({ ...common, ...fields }),
    };
  };
  return make({});
}
