import type { StatisticsRow } from '../runtime/parse-statistics.ts';
import type { Counters, ServerStatistics } from './server-shape.ts';

/** What HAProxy says about its backends and servers. */
export interface HaproxyStatistics {
  readonly backends: ReadonlyMap<string, Counters>;
  /** Backend → its servers; only the backends whose servers were asked for. */
  readonly servers: ReadonlyMap<string, readonly ServerStatistics[]>;
}

/** The same by service. */
export interface ServicesStatistics {
  /** Service → the counters of its backend. Services without a backend in HAProxy are left out. */
  readonly services: Readonly<Record<string, Counters>>;
  /** Service → its servers, for the services that were asked for and that have a backend in HAProxy. */
  readonly servers: Readonly<Record<string, readonly ServerStatistics[]>>;
}

/** Reads one server's row of `show stat`. */
export function serverStatisticsOf(row: StatisticsRow): ServerStatistics {
  return {
    name: row.svname ?? '',
    ...countersOf(row),
    address: row.addr ?? '',
    weight: count(row.weight),
    // While the next check is running, HAProxy puts a star before the result of the last one.
    check: (row.check_status ?? '').replace(/^\* /, ''),
    detail: row.last_chk ?? '',
    since: count(row.lastchg),
  };
}

/**
 * Reads the counters of one row of `show stat`. The row of a backend counts an answer that HAProxy itself gives, such as 503
 * without a server, as an answer 500 to 599 too; the row of a server does not.
 */
export function countersOf(row: StatisticsRow): Counters {
  const [answers, failed] = [count(row.hrsp_5xx), count(row.econ) + count(row.eresp)];
  return {
    status: row.status ?? '',
    current: count(row.scur),
    queued: count(row.qcur),
    sessions: count(row.stot),
    requests: requestsOf(row),
    errors: row.svname === backendRow ? Math.max(answers, failed) : answers + failed,
    failed,
    retries: count(row.wretr),
    active: count(row.act),
    backup: count(row.bck),
  };
}

/** The name in the row of a backend. */
const backendRow = 'BACKEND';

/** Where `req_tot` is empty, the responses of all kinds are added up. */
function requestsOf(row: StatisticsRow): number | null {
  if (row.req_tot) return count(row.req_tot);
  if (!row.hrsp_2xx) return null;
  const responses = [row.hrsp_1xx, row.hrsp_2xx, row.hrsp_3xx, row.hrsp_4xx, row.hrsp_5xx, row.hrsp_other];
  return responses.reduce((sum, value) => sum + count(value), 0);
}

function count(text: string | undefined): number {
  const value = Number(text ?? 0);
  return Number.isFinite(value) ? value : 0;
}

/** Turns statistics by backend into statistics by service. `backends` says which backend each service has. */
export function statisticsByService(
  statistics: HaproxyStatistics,
  backends: ReadonlyMap<string, string>,
): ServicesStatistics {
  const services: [string, Counters][] = [];
  const servers: [string, readonly ServerStatistics[]][] = [];
  for (const [service, backend] of backends) {
    const counters = statistics.backends.get(backend);
    const own = statistics.servers.get(backend);
    if (counters !== undefined) services.push([service, counters]);
    if (own !== undefined) servers.push([service, own]);
  }
  return { services: Object.fromEntries(services), servers: Object.fromEntries(servers) };
}
