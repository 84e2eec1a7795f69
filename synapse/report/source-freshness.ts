import { sleep } from '../../common/async/sleep.ts';
import type { DiscoveryStatus } from '../discovery/discoverer.ts';
import { about, type Events } from './events.ts';

/** A service and the state of its source; undefined while it has none. */
type ServiceStatus = readonly [service: string, status: DiscoveryStatus | undefined];

/** What the previous round saw of one service's source. */
interface Observation {
  readonly reason: string | null;
  /** Names of the parts in use, of a service with several sources. */
  readonly used: string | undefined;
}

/** Milliseconds between two rounds. A round asks for statuses in memory; it fetches nothing. */
const intervalMs = 1_000;

/** Records when sources go out of date, when they are current again, and when a service switches between its sources. */
export async function watchFreshness(
  statuses: () => Iterable<ServiceStatus>,
  events: Events,
  signal: AbortSignal,
): Promise<void> {
  let before: ReadonlyMap<string, Observation> = new Map();
  while (!signal.aborted) {
    before = compare(before, statuses(), events);
    await sleep(intervalMs, signal);
  }
}

function compare(
  before: ReadonlyMap<string, Observation>,
  statuses: Iterable<ServiceStatus>,
  events: Events,
): ReadonlyMap<string, Observation> {
  const now = new Map<string, Observation>();
  /** One outage of a registry is one event, however many services it has. */
  const stale = new Map<string, { readonly source: string; readonly reason: string; readonly services: string[] }>();
  const fresh = new Map<string, string[]>();
  for (const [service, status] of statuses) {
    if (status === undefined) continue;
    const { method, reason } = status;
    const known = before.get(service);
    const used = usedParts(status);
    now.set(service, { reason, used });
    recordSwitch({ service, from: known?.used, to: used }, events);
    if (reason !== null && (known === undefined || known.reason === null)) {
      const key = `${method} ${reason}`;
      const group = stale.get(key) ?? { source: method, reason, services: [] };
      group.services.push(service);
      stale.set(key, group);
    } else if (reason === null && known !== undefined && known.reason !== null) {
      fresh.set(method, [...(fresh.get(method) ?? []), service]);
    }
  }
  for (const { source, reason, services } of stale.values()) {
    events.record({ kind: 'source_stale', level: 'warn', ...about(services), source, reason });
  }
  for (const [source, services] of fresh) {
    events.record({ kind: 'source_fresh', level: 'info', ...about(services), source });
  }
  return now;
}

function usedParts({ parts }: DiscoveryStatus): string | undefined {
  const used = parts?.filter(({ role }) => role === 'used');
  return used?.map(({ name }) => name).join(', ');
}

function recordSwitch(
  { service, from, to }: { service: string; from: string | undefined; to: string | undefined },
  events: Events,
): void {
  if (from === undefined || to === undefined || from === to) return;
  const reason = `before: ${from || 'none'}`;
  events.record({ kind: 'source_switched', level: 'warn', service, source: to || 'none', reason });
}
