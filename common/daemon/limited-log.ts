import { Allowance, type Rate } from '../async/allowance.ts';
import { clock } from '../async/clock.ts';
import type { Log, LogFields, LogLevel } from './log.ts';

/** Ten lines at once, then one every 10 s: at most 16 in any minute. */
export const defaultLogLimit: Rate = { burst: 10, intervalMs: 10_000 };

/** For lines that tell of the work itself: 60 lines at once, then one per second. */
export const serviceLogLimit: Rate = { burst: 60, intervalMs: 1_000 };

/**
 * Writes no more lines than its limit allows. For messages of which other programs decide the number: writers of records in
 * a registry, or a server that refuses everything. A line after omitted lines has their number (`omitted`).
 */
export class LimitedLog {
  readonly #log: Pick<Log, LogLevel>;
  readonly #allowance: Allowance;
  #omitted = 0;

  constructor(log: Pick<Log, LogLevel>, limit: Rate = defaultLogLimit) {
    this.#log = log;
    this.#allowance = new Allowance(limit);
  }

  warn(message: string, fields: LogFields = {}): void {
    this.write('warn', message, fields);
  }

  /** The same for a line of any level. */
  write(level: LogLevel, message: string, fields: LogFields): void {
    if (!this.#allowance.take(clock.now())) {
      this.#omitted += 1;
      return;
    }
    this.#log[level](message, { ...fields, ...(this.#omitted > 0 && { omitted: this.#omitted }) });
    this.#omitted = 0;
  }
}

/**
 * A log that limits each message about each service (the field `service`) and each message about none, apart from debug
 * lines: records of one service can change a thousand times a second, which must neither fill the log nor hide the lines
 * about other services. For the whole log of a daemon: messages are constant sentences, so there are few.
 */
export function limitEachMessage(log: Log, limit: Rate = serviceLogLimit): Log {
  const logs = new Map<string, LimitedLog>();
  const limited = (level: LogLevel, message: string, fields: LogFields): void => {
    const key = `${typeof fields.service === 'string' ? fields.service : ''} ${message}`;
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
