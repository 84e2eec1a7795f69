import { clock } from '../../../common/async/clock.ts';
import { type HaproxyConfig, socketPaths } from '../options/config.ts';
import { connectRuntime } from '../runtime/connection.ts';
import { parseStatistics, type StatisticsRow } from './parse.ts';

/** Whose servers are asked for; undefined for nobody's. */
export type ViewOf = { readonly backend: string } | 'all' | undefined;

/** How long an answer is good for others who ask; milliseconds. More of them cost HAProxy nothing. */
const goodFor = 900;
/** A quiet time of so many times the last answer's, so that reading takes HAProxy 2 % of its time at most. */
const quiet = 50;
const timeout = 3_000;

/**
 * Reads HAProxy's counters, only when somebody asks. On a connection of its own, which is closed again: a long answer
 * must not stand in the way of a change. CSV, because JSON costs HAProxy ten times as much.
 */
export function createView(config: HaproxyConfig): (of?: ViewOf) => Promise<HaproxyView> {
  const known = new Map<string, { readonly until: number; readonly view: Promise<HaproxyView> }>();
  return (of) => {
    const paths = config.do_socket ? socketPaths(config) : [];
    if (paths.length === 0) return Promise.reject(new Error('the runtime API is not used (haproxy.do_socket)'));
    const key = typeof of === 'object' ? of.backend : of === 'all' ? '*' : '';
    const last = known.get(key);
    if (last !== undefined && clock.now() < last.until) return last.view;
    const start = clock.now();
    const view = readViews(paths, of);
    // While it is under way, everybody waits for the same.
    known.set(key, { until: Number.POSITIVE_INFINITY, view });
    const settle = (): void => {
      const now = clock.now();
      known.set(key, { until: now + Math.max(goodFor, (now - start) * quiet), view });
      for (const [name, { until }] of known) if (until < now) known.delete(name);
    };
    view.then(settle, () => known.delete(key));
    return view;
  };
}

/** Reads the counters of several processes as one, now. One that is away holds nobody up. @throws when none answers */
export async function readViews(paths: readonly string[], of: ViewOf): Promise<HaproxyView> {
  const asked = await Promise.allSettled(paths.map((path) => read(path, of)));
  const [first, ...others] = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  if (first !== undefined) return sumViews([first, ...others]);
  throw asked.find((one) => one.status === 'rejected')?.reason;
}

async function read(path: string, of: ViewOf): Promise<HaproxyView> {
  const end = new AbortController();
  try {
    const connection = await connectRuntime(path, { timeout }, end.signal);
    // Kind 2 is backends, 4 is servers (management guide, section 9.3, "show stat").
    const [all = ''] = await connection.send(['show stat -1 2 -1']);
    const rows = parseStatistics(all);
    const number = of === 'all' ? -1 : rows.find(({ pxname }) => pxname === of?.backend)?.iid;
    const [own = ''] = number === undefined ? [] : await connection.send([`show stat ${number} 4 -1`]);
    const servers = new Map<string, ServerView[]>();
    // A backend may have no servers.
    for (const { pxname = '' } of rows) if (of === 'all' || pxname === of?.backend) servers.set(pxname, []);
    for (const row of own === '' ? [] : parseStatistics(own)) servers.get(row.pxname ?? '')?.push(serverOf(row));
    return { backends: new Map(rows.map((row) => [row.pxname ?? '', countersOf(row)])), servers };
  } finally {
    end.abort();
  }
}

function serverOf(row: StatisticsRow): ServerView {
  return {
    name: row.svname ?? '',
    ...countersOf(row),
    address: row.addr ?? '',
    weight: count(row.weight),
    // While another check is under way, HAProxy puts a star before the last one.
    check: (row.check_status ?? '').replace(/^\* /, ''),
    detail: row.last_chk ?? '',
    since: count(row.lastchg),
  };
}

function countersOf(row: StatisticsRow): Counters {
  const requests = row.req_tot || (row.hrsp_2xx === undefined || row.hrsp_2xx === '' ? '' : httpAnswers(row));
  return {
    status: row.status ?? '',
    current: count(row.scur),
    queued: count(row.qcur),
    sessions: count(row.stot),
    requests: requests === '' ? null : count(requests),
    errors: count(row.hrsp_5xx) + count(row.econ) + count(row.eresp),
    active: count(row.act),
    backup: count(row.bck),
  };
}

function httpAnswers(row: StatisticsRow): string {
  const kinds = [row.hrsp_1xx, row.hrsp_2xx, row.hrsp_3xx, row.hrsp_4xx, row.hrsp_5xx, row.hrsp_other];
  return String(kinds.reduce((sum, value) => sum + count(value), 0));
}

function count(text: string | undefined): number {
  const value = Number(text ?? 0);
  return Number.isFinite(value) ? value : 0;
}

/** What HAProxy itself says of a backend or a server; counters since its worker began, of all processes together. */
export interface Counters {
  readonly status: string;
  /** Requests or connections that it handles at this moment, and those that wait. */
  readonly current: number;
  readonly queued: number;
  readonly sessions: number;
  /** Of HTTP; null in TCP mode. */
  readonly requests: number | null;
  /** Answers 500 to 599, and connections and answers that failed. */
  readonly errors: number;
  /** Servers that take traffic, for a backend. */
  readonly active: number;
  readonly backup: number;
}

export interface ServerView extends Counters {
  readonly name: string;
  /** `host:port`; empty where this HAProxy does not say. */
  readonly address: string;
  readonly weight: number;
  /** The last health check, such as `L4OK`; empty without checks. */
  readonly check: string;
  /** What that check said. */
  readonly detail: string;
  /** Seconds since its status changed. */
  readonly since: number;
}

export interface HaproxyView {
  readonly backends: ReadonlyMap<string, Counters>;
  /** Servers by backend: of the one that was asked for, or of all. */
  readonly servers: ReadonlyMap<string, readonly ServerView[]>;
}

/**
 * What several HAProxy processes say, as one: counters are added up; of what they do not agree on, such as a server that
 * fails the check of one of them, the worse is shown.
 */
export function sumViews([first, ...others]: readonly [HaproxyView, ...HaproxyView[]]): HaproxyView {
  if (others.length === 0) return first;
  const all = [first, ...others];
  const backends = merge(
    all.flatMap((view) => [...view.backends]),
    addCounters,
  );
  const servers = merge(
    all.flatMap((view) => [...view.servers]),
    (a, b) => [...merge(named([...a, ...b]), addServers).values()],
  );
  return { backends, servers };
}

function named(servers: readonly ServerView[]) {
  return servers.map((server) => [server.name, server] as const);
}

function merge<T>(entries: readonly (readonly [string, T])[], add: (a: T, b: T) => T): ReadonlyMap<string, T> {
  const merged = new Map<string, T>();
  for (const [name, one] of entries) {
    const known = merged.get(name);
    merged.set(name, known === undefined ? one : add(known, one));
  }
  return merged;
}

function addCounters(a: Counters, b: Counters): Counters {
  return {
    status: isWorse(b.status, a.status) ? b.status : a.status,
    current: a.current + b.current,
    queued: a.queued + b.queued,
    sessions: a.sessions + b.sessions,
    requests: a.requests === null ? b.requests : a.requests + (b.requests ?? 0),
    errors: a.errors + b.errors,
    active: Math.min(a.active, b.active),
    backup: Math.min(a.backup, b.backup),
  };
}

function addServers(a: ServerView, b: ServerView): ServerView {
  const worse = isWorse(b.status, a.status) ? b : a;
  return { ...worse, ...addCounters(a, b) };
}

/** `UP`, `no check` and `OPEN` take traffic; so does `UP 1/3`, which is about to go down. */
function isWorse(status: string, than: string): boolean {
  return rank(status) > rank(than);
}

function rank(status: string): number {
  if (/^(UP|no check|OPEN)$/.test(status)) return 0;
  return /^(UP|no check|OPEN)/.test(status) ? 1 : /^(DRAIN|NOLB)/.test(status) ? 2 : /^MAINT/.test(status) ? 3 : 4;
}

/** HAProxy's own view, by our services. */
export interface ServicesView {
  /** Services that HAProxy has no backend of are not there. */
  readonly services: Readonly<Record<string, Counters>>;
  /** Of the services that were asked for, as far as HAProxy has them. */
  readonly servers: Readonly<Record<string, readonly ServerView[]>>;
}

/** A view of backends as one of services. `backends` says which one each service has. */
export function viewByService(seen: HaproxyView, backends: ReadonlyMap<string, string>): ServicesView {
  const services: [string, Counters][] = [];
  const servers: [string, readonly ServerView[]][] = [];
  for (const [service, backend] of backends) {
    const counters = seen.backends.get(backend);
    const own = seen.servers.get(backend);
    if (counters !== undefined) services.push([service, counters]);
    if (own !== undefined) servers.push([service, own]);
  }
  return { services: Object.fromEntries(services), servers: Object.fromEntries(servers) };
}
