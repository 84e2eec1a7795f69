import winston from 'winston';
import { visibleLine } from '../visible.ts';

/** Structured fields of a log line. Names are stable: operators search for them. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The log of a component. Messages are constant sentences; values go into fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds these fields to every line. */
  child(fields: LogFields): Log;
}

/** The levels of a log, the most detailed first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Logs to stderr: readable text on a terminal, else JSON lines. The level comes from the caller or from `LOG_LEVEL`. */
export function createLog(program: string, level: LogLevel = logLevel()): Log {
  const { combine, timestamp, printf } = winston.format;
  const readable = printf(({ timestamp: at, level: severity, message, program: _, ...fields }) => {
    const rest = Object.entries(fields).map(([key, value]) => `${key}=${compact(value)}`);
    return visibleLine([String(at).slice(11, 23), severity.toUpperCase().padEnd(5), message, ...rest].join(' '));
  });
  // Time, level and message come first: many people read the lines unformatted.
  const json = printf(({ timestamp: at, level: severity, message, program: name, ...fields }) =>
    visibleLine(JSON.stringify({ timestamp: at, level: severity, message, program: name, ...fields })),
  );
  return winston.createLogger({
    level,
    defaultMeta: { program },
    format: process.stderr.isTTY ? combine(timestamp(), readable) : combine(timestamp(), json),
    // Not winston's Console transport: it writes info lines to stdout, which is for the output of commands.
    transports: [new winston.transports.Stream({ stream: process.stderr })],
  });
}

/** A log that writes nothing: for one-shot commands. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};

/** The message of a thrown value, followed by the messages of its causes. */
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
