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
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  ENOSPC: 'no space left on the disk',
};

const longest = 300;

/** Why something failed, in one short line of plain words; what Node and the system say in codes is spelled out. */
export function plainReason(error: unknown): string {
  // A host name with several addresses: each has failed for a reason of its own, mostly the same one.
  if (error instanceof AggregateError && error.errors.length > 0) return plainReason(error.errors[0]);
  const { code, reason } = (error ?? {}) as { code?: unknown; reason?: unknown };
  // OpenSSL's, whose message is a record of its sources and line numbers, and ours that also have it in a longer message.
  if (typeof reason === 'string') return oneLine(reason);
  const known = typeof code === 'string' ? words[code] : undefined;
  return known ?? oneLine(reasonOf(error));
}

/** What a system error that is named somewhere in a text means; undefined when there is none that we know. */
export function systemWords(text: string): string | undefined {
  const code = /\bE[A-Z_]{3,}\b/.exec(text)?.[0];
  return code === undefined ? undefined : words[code];
}

/**
 * What was attempted, and why it failed. It carries no cause: whoever prints errors with their causes would say the
 * same again, in the system's words.
 */
export function failure(attempt: string, error: unknown): Error {
  return new Error(`${attempt}: ${plainReason(error)}`);
}

/** Text from outside as part of a reason: one line, without control characters, not too long. */
export function oneLine(text: string): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
}
