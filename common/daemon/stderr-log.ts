import winston from 'winston';
import { visibleLine } from '../visible.ts';
import type { Log, LogLevel } from './log.ts';

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

function logLevel(): LogLevel {
  const level = process.env.LOG_LEVEL;
  if (level === 'debug' || level === 'info' || level === 'warn' || level === 'error') return level;
  return process.env.DEBUG ? 'debug' : 'info';
}

function compact(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? 'undefined';
}
