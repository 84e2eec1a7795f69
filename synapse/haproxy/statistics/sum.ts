import type { HaproxyStatistics } from './counters.ts';
import type { Counters, ServerStatistics } from './server-shape.ts';

/**
 * Joins the statistics of several HAProxy processes. Counters are added up. Where the processes disagree, such as about a
 * server that fails the check of one of them, the worse status is taken.
 */
export function sumStatistics([first, ...others]: readonly [
  HaproxyStatistics,
  ...HaproxyStatistics[],
]): HaproxyStatistics {
  if (others.length === 0) return first;
  const all = [first, ...others];
  const backends = merge(
    all.flatMap((one) => [...one.backends]),
    addCounters,
  );
  const servers = merge(
    all.flatMap((one) => [...one.servers]),
    (a, b) => [...merge(byName([...a, ...b]), addServers).values()],
  );
  return { backends, servers };
}

function byName(servers: readonly ServerStatistics[]) {
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
    failed: a.failed + b.failed,
    retries: a.retries + b.retries,
    active: Math.min(a.active, b.active),
    backup: Math.min(a.backup, b.backup),
  };
}

function addServers(a: ServerStatistics, b: ServerStatistics): ServerStatistics {
  const worse = isWorse(b.status, a.status) ? b : a;
  return { ...worse, ...addCounters(a, b) };
}

function isWorse(status: string, than: string): boolean {
  return rank(status) > rank(than);
}

/** `UP`, `no check` and `OPEN` take traffic. So does `UP 1/3`, but it is about to go down. */
function rank(status: string): number {
  if (/^(UP|no check|OPEN)$/.test(status)) return 0;
  return /^(UP|no check|OPEN)/.test(status) ? 1 : /^(DRAIN|NOLB)/.test(status) ? 2 : /^MAINT/.test(status) ? 3 : 4;
}
