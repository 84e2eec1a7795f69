import type { ConnectOptions } from './connection.ts';
import { parseInfo, type WorkerInfo } from './parse.ts';
import { parseStatistics, type StatisticsRow } from './parse-statistics.ts';
import { readOnce } from './read-once.ts';

/** `backend/server` → the number of requests or connections that the server handles or that wait for it. */
export type Sessions = ReadonlyMap<string, number>;

/** What a server, or all servers of a backend, or a frontend, handles at one moment. */
export interface Load {
  /** Requests or connections in progress (`scur`). Connections that HAProxy keeps open for later requests do not count. */
  readonly connections: number;
  /** Requests that wait for it (`qcur`). */
  readonly queued: number;
}

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
  const loads = await readLoads(path, commands, { isInCharge, ...options }, signal);
  return sumsOf(loads);
}

/** The same with both parts of the number. @throws as {@link readSessions} */
export async function readLoads(
  path: string,
  commands: readonly string[],
  { isInCharge, ...options }: ReadSessionsOptions,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Load>> {
  const loads = new Map<string, Load>();
  for (let first = 0; first < commands.length; first += maxCommands) {
    const line = ['show info', ...commands.slice(first, first + maxCommands)].join(';');
    const reply = await readOnce(path, line, options, signal);
    // The worker says who it is before any text that a server can choose.
    const begin = reply.indexOf('# pxname,');
    if (!isInCharge(parseInfo(reply.slice(0, Math.max(0, begin))))) throw new Error('another worker has replied');
    for (const [server, load] of parseLoads(reply.slice(begin))) loads.set(server, load);
  }
  return loads;
}

/** Reads replies of `show stat`. @throws when the text has anything else in it */
export function parseSessions(replies: string): Sessions {
  return sumsOf(parseLoads(replies));
}

/** The same with both parts of the number. @throws as {@link parseSessions} */
export function parseLoads(replies: string): ReadonlyMap<string, Load> {
  const loads = new Map<string, Load>();
  for (const row of parseStatistics(replies)) {
    const load = loadOf(row);
    if (load !== undefined) loads.set(`${row.pxname}/${row.svname}`, load);
  }
  return loads;
}

/** The load in one row; undefined when the row does not say it. */
export function loadOf({ scur = '', qcur = '' }: StatisticsRow): Load | undefined {
  if (!isCount(scur) || !(qcur === '' || isCount(qcur))) return undefined;
  return { connections: Number(scur), queued: Number(qcur) };
}

function isCount(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}

function sumsOf(loads: ReadonlyMap<string, Load>): Sessions {
  return new Map([...loads].map(([server, { connections, queued }]) => [server, connections + queued]));
}
