import type { RunningBackend, RunningServer } from '../spec/types.ts';
import { type ServerCounts, usableOf } from './health-shape.ts';
import type { ServerStatistics } from './server-shape.ts';

/** No server. */
const none: ServerCounts = { up: 0, unchecked: 0, down: 0, out: 0 };

/** Counts the servers that were read back. Servers that synapse is taking out of service do not count. */
export function countRunning(servers: Iterable<RunningServer>): ServerCounts {
  const counts = { ...none };
  for (const server of servers) {
    const { maintenance, drained, failing, withheld, checked, weight, ours } = server;
    if (maintenance && ours) continue;
    if (maintenance || drained || withheld || weight === 0) counts.out += 1;
    else if (failing) counts.down += 1;
    else if (checked) counts.up += 1;
    else counts.unchecked += 1;
  }
  return counts;
}

/** Counts the servers of the statistics. Servers in maintenance count only when `isUsed` says that the service uses them. */
export function countStatistics(servers: Iterable<ServerStatistics>, isUsed: (name: string) => boolean): ServerCounts {
  const counts = { ...none };
  for (const { name, status, weight } of servers) {
    if (/^MAINT/.test(status) && !isUsed(name)) continue;
    if (/^DOWN/.test(status)) counts.down += 1;
    else if (!/^(UP|no check)/.test(status) || weight === 0) counts.out += 1;
    else if (/^no check/.test(status)) counts.unchecked += 1;
    else counts.up += 1;
  }
  return counts;
}

/** One HAProxy process as it was last read. */
interface ReadProcess {
  /** It answers, and its servers are known. */
  readonly inSync: boolean;
  /** Backend → its servers by name. */
  readonly running: ReadonlyMap<string, RunningBackend>;
}

/**
 * Counts the servers of a backend in the process where the fewest take traffic; undefined when no process that answers has the
 * backend.
 */
export function worstCounts(processes: readonly ReadProcess[], backend: string): ServerCounts | undefined {
  const read = processes.filter(({ inSync }) => inSync).map(({ running }) => running.get(backend));
  const counts = read.filter((servers) => servers !== undefined).map((servers) => countRunning(servers.values()));
  return counts.sort((a, b) => usableOf(a) - usableOf(b) || b.down - a.down)[0];
}
