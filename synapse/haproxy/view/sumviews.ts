import type { Counters, HaproxyView, ServerView } from './counters.ts';

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
