import { thisHost } from '../../common/host.ts';
import { plainReason } from '../../common/reason.ts';
import type { Snapshot } from '../output.ts';
import { type HaproxyConfig, socketPaths } from './options/config.ts';
import { preview } from './preview.ts';
import { connectRuntime } from './runtime/connection.ts';
import { parseEnv, parseInfo } from './runtime/parse.ts';
import { generationVariable } from './spec/build-backend.ts';
import { type ServicesStatistics, statisticsByService } from './statistics/counters.ts';
import { readStatistics } from './statistics/reader.ts';
import type { SocketStatus } from './status.ts';

/** What runs, read without a daemon. */
export interface HaproxyInspection {
  readonly sockets: readonly SocketStatus[];
  /** The statistics of all processes that answer, joined; null when none does. */
  readonly statistics: ServicesStatistics | null;
  /** Service that cannot be in HAProxy → the reason. */
  readonly problems: Readonly<Record<string, string>>;
}

const replyTimeoutMs = 3_000;

/** Reads every HAProxy of the configuration for a command. Changes nothing and never rejects: failures have a reason. */
export async function inspectHaproxy(config: HaproxyConfig, snapshot: Snapshot): Promise<HaproxyInspection> {
  const paths = config.do_socket ? socketPaths(config) : [];
  const [sockets, { backends, problems }] = await Promise.all([
    Promise.all(paths.map(inspectSocket)),
    backendsOf(config, snapshot),
  ]);
  const answering = sockets.filter(({ connected }) => connected).map(({ path }) => path);
  const found =
    answering.length === 0 ? undefined : await readStatistics(answering, 'all', thisHost).catch(() => undefined);
  return { sockets, statistics: found === undefined ? null : statisticsByService(found, backends), problems };
}

async function inspectSocket(path: string): Promise<SocketStatus> {
  const end = new AbortController();
  try {
    const connection = await connectRuntime(path, { connectUnix: thisHost.connectUnix, replyTimeoutMs }, end.signal);
    const [info = '', env = ''] = await connection.send(['show info', `show env ${generationVariable}`]);
    const { version, pid } = parseInfo(info);
    const generation = parseEnv(env, generationVariable) ?? null;
    return { path, connected: true, version, workerPid: pid, generation, lastError: null };
  } catch (error) {
    const unknown = { version: null, workerPid: null, generation: null };
    return { path, connected: false, ...unknown, lastError: plainReason(error) };
  } finally {
    end.abort();
  }
}

/** The backend of each service; by name alone when the present file cannot be read. */
async function backendsOf(config: HaproxyConfig, snapshot: Snapshot) {
  try {
    const { backends, problems } = await preview(config, snapshot);
    return { backends, problems: Object.fromEntries(problems) };
  } catch {
    const names = [...snapshot.values()].map((state) => [state.name, state.config.backend_name ?? state.name] as const);
    return { backends: new Map(names), problems: {} };
  }
}
