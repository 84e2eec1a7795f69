import type { ConnectOptions } from './connection.ts';
import { parseInfo, type WorkerInfo } from './parse.ts';
import { parseStatistics } from './parse-statistics.ts';
import { readOnce } from './read-once.ts';

/** `backend/server` → the number of requests or connections that the server handles or that wait for it. */
export type Sessions = ReadonlyMap<string, number>;

/** How to read, and from which worker. */
export interface ReadSessionsOptions extends ConnectOptions {
  readonly isInCharge: (worker: WorkerInfo) => boolean;
}

/** HAProxy reads a line of at most `tune.bufsize` bytes, 16 KiB by default. A command has at most 40 bytes. */
const maxCommands = 200;

/**
 * Sends commands such as `show stat BACKEND-ID 4 SERVER-ID`. (Before 3.4, `show servers conn` counts nothing in TCP mode.)
 * @throws when they cannot be read, or when another worker replies, as it may during a reload
 */
export async function readSessions(
  path: string,
  commands: readonly string[],
  { isInCharge, ...options }: ReadSessionsOptions,
  signal: AbortSignal,
): Promise<Sessions> {
  const sessions = new Map<string, number>();
  for (let first = 0; first < commands.length; first += maxCommands) {
    const line = ['show info', ...commands.slice(first, first + maxCommands)].join(';');
    const reply = await readOnce(path, line, options, signal);
    // The worker says who it is before any text that a server can choose.
    const begin = reply.indexOf('# pxname,');
    if (!isInCharge(parseInfo(reply.slice(0, Math.max(0, begin))))) throw new Error('another worker has replied');
    for (const [server, count] of parseSessions(reply.slice(begin))) sessions.set(server, count);
  }
  return sessions;
}

/** Reads replies of `show stat`. @throws when the text has anything else in it */
export function parseSessions(replies: string): Sessions {
  const sessions = new Map<string, number>();
  for (const { pxname, svname, scur, qcur } of parseStatistics(replies)) {
    const count = Number(scur || Number.NaN) + Number(qcur || 0);
    if (!Number.isNaN(count)) sessions.set(`${pxname}/${svname}`, count);
  }
  return sessions;
}
