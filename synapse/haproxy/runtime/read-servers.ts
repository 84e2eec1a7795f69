import type { ConnectOptions, RuntimeConnection } from './connection.ts';
import { parseInfo, parseServersState, type ServerRow, type WorkerInfo } from './parse.ts';
import { parseStatistics } from './parse-statistics.ts';
import { type Load, loadOf, readLoads } from './sessions.ts';
import { isSameWorker } from './worker.ts';

/** A server by name. */
export interface ServerAt {
  readonly backend: string;
  readonly name: string;
}

/** A server as one worker has it now. */
export interface ServerReading extends Load {
  readonly row: ServerRow;
}

/** Some servers of one worker, all read after they were asked for. */
export interface ServersReading {
  /** `backend/server` → what the worker says; one that it does not have is not in it. */
  readonly servers: ReadonlyMap<string, ServerReading>;
}

/** The name of a server among all of a HAProxy. */
export function serverKey({ backend, name }: ServerAt): string {
  return `${backend}/${name}`;
}

/** How to read the worker in charge. */
export interface ReadServersOptions extends ConnectOptions {
  readonly path: string;
  /** The worker that is expected to answer. */
  readonly worker: WorkerInfo;
}

/** How often the load is read at most until it is 0 twice in a row: a client may be between connecting and its first byte. */
const loadReadings = 2;

/**
 * Reads these servers from the worker in charge: first their states, then, over connections of their own, their loads. A load
 * of 0 was found twice in a row, after the states.
 * @throws when they cannot be read, or another worker answers, as it may during a reload
 */
export async function readServers(
  connection: RuntimeConnection,
  wanted: readonly ServerAt[],
  { path, worker, ...options }: ReadServersOptions,
  signal: AbortSignal,
): Promise<ServersReading> {
  const isInCharge = (info: WorkerInfo): boolean => !info.stopping && isSameWorker(worker, info);
  const backends = [...new Set(wanted.map(({ backend }) => backend))];
  const [info = '', ...states] = await connection.send([
    'show info',
    ...backends.map((backend) => `show servers state ${backend}`),
  ]);
  if (!isInCharge(parseInfo(info))) throw new Error('another worker has taken over');
  const rows = rowsAmong(
    wanted,
    backends.flatMap((backend, index) => rowsOf(backend, states[index] ?? '')),
  );
  if (rows.size === 0) return { servers: new Map() };
  let loads: ReadonlyMap<string, Load> = new Map();
  let asked: readonly ServerRow[] = [...rows.values()];
  for (let reading = 0; reading < loadReadings && asked.length > 0; reading++) {
    const commands = asked.map(({ backendId, id }) => `show stat ${backendId} 4 ${id}`);
    loads = new Map([...loads, ...(await readLoads(path, commands, { isInCharge, ...options }, signal))]);
    asked = asked.filter((row) => isIdle(loads.get(serverKey(row))));
  }
  return { servers: join(rows, loads) };
}

/** Reads a reply of `show servers state BACKEND`; a backend that is not there has no servers. @throws when it is another reply */
export function rowsOf(backend: string, reply: string): readonly ServerRow[] {
  // "Can't find backend.", also with the name after it.
  if (!reply.includes('# ') && /can't find backend|no such backend/i.test(reply)) return [];
  return parseServersState(reply).filter((row) => row.backend === backend);
}

/** The rows of the wanted servers, by {@link serverKey}. */
export function rowsAmong(wanted: readonly ServerAt[], rows: readonly ServerRow[]): ReadonlyMap<string, ServerRow> {
  const keys = new Set(wanted.map(serverKey));
  return new Map(rows.map((row) => [serverKey(row), row] as const).filter(([key]) => keys.has(key)));
}

/** Rows with their loads. @throws when a load is missing: the server was deleted meanwhile, or has another number */
export function join(
  rows: ReadonlyMap<string, ServerRow>,
  loads: ReadonlyMap<string, Load>,
): ReadonlyMap<string, ServerReading> {
  return new Map(
    [...rows].map(([key, row]) => {
      const load = loads.get(key);
      if (load === undefined) throw new Error(`show stat does not have ${key}`);
      return [key, { row, ...load }];
    }),
  );
}

/** What clients and servers of a worker do, by kind. */
export interface WorkerTraffic {
  /** True when clients are connected that may still send a request to a server of their choice or of HAProxy's. */
  readonly mayChoose: boolean;
}

/**
 * Reads the reply of `show stat -1 3 -1`: frontends and backends. An HTTP client may send another request on its connection as
 * long as it is open. A TCP connection stays with the server that it was given; one that has none yet may still get any.
 * @throws when it is another reply
 */
export function parseTraffic(reply: string): WorkerTraffic {
  let atHttp = 0;
  let atTcp = 0;
  let withServer = 0;
  for (const row of parseStatistics(reply)) {
    const load = loadOf(row) ?? { connections: 0, queued: 0 };
    if (row.svname === 'FRONTEND') {
      if (row.mode === 'tcp') atTcp += load.connections;
      else atHttp += load.connections;
    } else if (row.svname === 'BACKEND' && row.mode === 'tcp') withServer += load.connections - load.queued;
  }
  return { mayChoose: atHttp > 0 || atTcp > withServer };
}

function isIdle(load: Load | undefined): boolean {
  return load !== undefined && load.connections + load.queued === 0;
}
