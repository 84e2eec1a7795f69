import { clock } from '../../../common/async/clock.ts';
import type { Host } from '../../../common/host.ts';
import { parseStatistics } from '../runtime/parse-statistics.ts';
import { readOnce } from '../runtime/read-once.ts';
import { countersOf, type HaproxyStatistics, serverStatisticsOf } from './counters.ts';
import type { ServerStatistics } from './server-shape.ts';
import { sumStatistics } from './sum.ts';

/** The backends whose servers are read too: one, all, or none when undefined. */
export type ServersScope = { readonly backend: string } | 'all' | undefined;

/** An answer is reused for this long, so that many readers cost HAProxy no more than one. */
const minReuseMs = 900;
/** An answer that took long is reused for this multiple of its duration: HAProxy spends 2 % of its time on it at most. */
const reuseFactor = 50;
const replyTimeoutMs = 3_000;

/**
 * Reads the statistics of HAProxy's processes on demand. Uses connections of its own and closes them again,
 * because a change must not wait behind a long answer. Asks for CSV, because JSON costs HAProxy ten times as much.
 */
export class StatisticsReader {
  readonly #sockets: readonly string[];
  readonly #host: Pick<Host, 'connectUnix'>;
  readonly #answers = new Map<string, { readonly until: number; readonly statistics: Promise<HaproxyStatistics> }>();

  constructor(sockets: readonly string[], host: Pick<Host, 'connectUnix'>) {
    this.#sockets = sockets;
    this.#host = host;
  }

  /** Reads, or hands out an answer that is recent enough. @throws when no HAProxy answers */
  read(scope?: ServersScope): Promise<HaproxyStatistics> {
    if (this.#sockets.length === 0) {
      return Promise.reject(new Error('the runtime API is not used (haproxy.do_socket)'));
    }
    const key = typeof scope === 'object' ? scope.backend : scope === 'all' ? '*' : '';
    const last = this.#answers.get(key);
    if (last !== undefined && clock.now() < last.until) return last.statistics;
    const start = clock.now();
    const statistics = readStatistics(this.#sockets, scope, this.#host);
    // All requests until the answer arrives wait for the same answer.
    this.#answers.set(key, { until: Number.POSITIVE_INFINITY, statistics });
    const settle = (): void => {
      const now = clock.now();
      this.#answers.set(key, { until: now + Math.max(minReuseMs, (now - start) * reuseFactor), statistics });
      for (const [name, { until }] of this.#answers) if (until < now) this.#answers.delete(name);
    };
    statistics.then(settle, () => this.#answers.delete(key));
    return statistics;
  }
}

/**
 * Reads the statistics of several processes and joins them, without the processes that do not answer.
 * @throws when no process answers
 */
export async function readStatistics(
  sockets: readonly string[],
  scope: ServersScope,
  host: Pick<Host, 'connectUnix'>,
): Promise<HaproxyStatistics> {
  const results = await Promise.allSettled(sockets.map((socket) => readOne(socket, scope, host)));
  const [first, ...others] = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  if (first !== undefined) return sumStatistics([first, ...others]);
  throw results.find((result) => result.status === 'rejected')?.reason;
}

async function readOne(
  socket: string,
  scope: ServersScope,
  { connectUnix }: Pick<Host, 'connectUnix'>,
): Promise<HaproxyStatistics> {
  const { signal } = new AbortController();
  const ask = async (command: string) =>
    parseStatistics(await readOnce(socket, command, { connectUnix, replyTimeoutMs }, signal));
  // Type 2 is backends, type 4 is servers (management guide, section 9.3, "show stat").
  const rows = await ask('show stat -1 2 -1');
  const backendId = scope === 'all' ? -1 : rows.find(({ pxname }) => pxname === scope?.backend)?.iid;
  const serverRows = backendId === undefined ? [] : await ask(`show stat ${backendId} 4 -1`);
  const servers = new Map<string, ServerStatistics[]>();
  // A backend may have no servers.
  for (const { pxname = '' } of rows) if (scope === 'all' || pxname === scope?.backend) servers.set(pxname, []);
  for (const row of serverRows) servers.get(row.pxname ?? '')?.push(serverStatisticsOf(row));
  return { backends: new Map(rows.map((row) => [row.pxname ?? '', countersOf(row)])), servers };
}
