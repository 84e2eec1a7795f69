import { sleep } from '../../common/async/sleep.ts';
import { about, type Events } from '../report/events.ts';
import type { DiscoveryStatus } from './discoverer.ts';

/** What one service's source was like when it was last looked at. */
interface Seen {
  readonly reason: string | null;
  readonly used: string | undefined;
}

/** How often it is looked, milliseconds: a status is asked for, nothing is fetched. */
const interval = 1_000;

/** Writes down when sources go stale, are fresh again, and when a service takes another one of its sources. */
export async function watchFreshness(
  statuses: () => Iterable<readonly [service: string, status: DiscoveryStatus | undefined]>,
  events: Events,
  signal: AbortSignal,
): Promise<void> {
  let before: ReadonlyMap<string, Seen> = new Map();
  while (!signal.aborted) {
    before = compare(before, statuses(), events);
    await sleep(interval, signal);
  }
}

function compare(
  before: ReadonlyMap<string, Seen>,
  statuses: Iterable<readonly [string, DiscoveryStatus | undefined]>,
  events: Events,
): ReadonlyMap<string, Seen> {
  const now = new Map<string, Seen>();
  /** One outage of a registry is one event, however many services it has. */
  const stale = new Map<string, { readonly source: string; readonly reason: string; readonly services: string[] }>();
  const fresh = new Map<string, string[]>();
  for (const [service, status] of statuses) {
    if (status === undefined) continue;
    const { method, reason, parts } = status;
    const used = parts
      ?.filter(({ role }) => role === 'used')
      .map(({ name }) => name)
      .join(', ');
    const known = before.get(service);
    now.set(service, { reason, used });
    if (known !== undefined && used !== undefined && known.used !== undefined && known.used !== used) {
      const from = known.used === '' ? 'none' : known.used;
      events.record({
        kind: 'source_switched',
        level: 'warn',
        service,
        source: used || 'none',
        reason: `before: ${from}`,
      });
    }
    if (reason !== null && (known === undefined || known.reason === null)) {
      const key = `${method} ${reason}`;
      const group = stale.get(key) ?? { source: method, reason, services: [] };
      group.services.push(service);
      stale.set(key, group);
    } else if (reason === null && known !== undefined && known.reason !== null) {
      const group = fresh.get(method);
      if (group === undefined) fresh.set(method, [service]);
      else group.push(service);
    }
  }
  for (const { source, reason, services } of stale.values()) {
    events.record({ kind: 'source_stale', level: 'warn', ...about(services), source, reason });
  }
  for (const [source, services] of fresh)
    events.record({ kind: 'source_fresh', level: 'info', ...about(services), source });
  return now;
}
