import winston from 'winston';

/** Structured fields of a log line. Names are stable: operators search for them. */
export type Fields = Readonly<Record<string, unknown>>;

/** Where a component reports to. Messages are constant sentences; what varies goes into fields. */
export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A log whose every line carries these fields too. */
  child(fields: Fields): Log;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Logs to stderr: readable on a terminal, JSON lines otherwise. The level comes from the caller or `LOG_LEVEL`. */
export function createLog(program: string, level: LogLevel = logLevel()): Log {
  const { combine, timestamp, printf } = winston.format;
  const readable = printf(({ timestamp: at, level: severity, message, program: _, ...fields }) => {
    const rest = Object.entries(fields).map(([key, value]) => `${key}=${compact(value)}`);
    return [String(at).slice(11, 23), severity.toUpperCase().padEnd(5), message, ...rest].join(' ');
  });
  // What one looks for first comes first, also where lines are read as they are.
  const json = printf(({ timestamp: at, level: severity, message, program: name, ...fields }) =>
    JSON.stringify({ timestamp: at, level: severity, message, program: name, ...fields }),
  );
  return winston.createLogger({
    level,
    defaultMeta: { program },
    format: process.stderr.isTTY ? combine(timestamp(), readable) : combine(timestamp(), json),
    // Not winston's Console transport: that one writes info lines to stdout, which belongs to the commands' output.
    transports: [new winston.transports.Stream({ stream: process.stderr })],
  });
}

/** Takes everything and says nothing: for callers that do not care, such as one-shot commands. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};

/** The message of anything thrown, followed by the messages of its causes. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message || error.name;
  if (error.cause === undefined) return message;
  const cause = reasonOf(error.cause);
  return message.includes(cause) ? message : `${message}: ${cause}`;
}

function logLevel(): LogLevel {
  const level = process.env.LOG_LEVEL;
  if (level === 'debug' || level === 'info' || level === 'warn' || level === 'error') return level;
  return process.env.DEBUG ? 'debug' : 'info';
}

function compact(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? 'undefined';
}
