import { reasonOf } from './daemon/log.ts';

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection closed by the other side',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network unreachable',
  EADDRNOTAVAIL: 'no local address or port is left to connect from',
  EMFILE: 'too many open files',
  ENOTFOUND: 'host name not found',
  EAI_AGAIN: 'host name lookup failed for now',
  ENODATA: 'the name has no address',
  ETIMEOUT: 'the name server does not answer',
  ESERVFAIL: 'the name server failed',
  EREFUSED: 'the name server refused the question',
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  ENOSPC: 'no space left on the disk',
};

const longest = 300;

/** Why something failed, in one short line of plain words; codes of Node.js and the system are spelled out. */
export function plainReason(error: unknown): string {
  // All addresses of a host name have failed, mostly for the same reason.
  if (error instanceof AggregateError && error.errors.length > 0) return plainReason(error.errors[0]);
  const { code, reason } = (error ?? {}) as { code?: unknown; reason?: unknown };
  // OpenSSL's errors, whose message names source files and lines, and our own errors with a field `reason`.
  if (typeof reason === 'string') return oneLine(reason);
  const known = typeof code === 'string' ? words[code] : undefined;
  return known ?? oneLine(reasonOf(error));
}

/** The words for a system error code anywhere in a text; undefined when the text has none that is known. */
export function systemWords(text: string): string | undefined {
  const code = /\bE[A-Z_]{3,}\b/.exec(text)?.[0];
  return code === undefined ? undefined : words[code];
}

/**
 * An error that says what was attempted and why it failed. It has no cause: printed with its causes, it would repeat the
 * reason in the system's words.
 */
export function failure(attempt: string, error: unknown): Error {
  return new Error(`${attempt}: ${plainReason(error)}`);
}

/** Text from outside as part of a reason: one line of at most 300 characters, without control characters. */
export function oneLine(text: string): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
}
