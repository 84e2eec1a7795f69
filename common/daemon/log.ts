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
