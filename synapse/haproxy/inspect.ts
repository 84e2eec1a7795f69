import { plainReason } from '../../common/reason.ts';
import type { Snapshot } from '../output.ts';
import { type HaproxyConfig, socketPaths } from './options/config.ts';
import type { ServiceHaproxyConfig } from './options/service-config.ts';
import { preview } from './preview.ts';
import { connectRuntime } from './runtime/connection.ts';
import { parseEnv, parseInfo } from './runtime/parse.ts';
import { generationVariable } from './spec/build-backend.ts';
import { readViews, type ServicesView, viewByService } from './statistics/counters.ts';
import type { SocketStatus } from './status.ts';

/** What runs, asked without a daemon. */
export interface HaproxyLook {
  readonly sockets: readonly SocketStatus[];
  /** Of those that answer, as one; null when none does. */
  readonly view: ServicesView | null;
  /** Services that cannot be in HAProxy, with the reason. */
  readonly problems: Readonly<Record<string, string>>;
}

/** Milliseconds for each answer of a socket. */
const timeout = 3_000;

/** Looks at every HAProxy of the configuration. Changes nothing and never rejects: what fails says why. */
export async function lookAtHaproxy(
  config: HaproxyConfig,
  snapshot: Snapshot<ServiceHaproxyConfig>,
): Promise<HaproxyLook> {
  const paths = config.do_socket ? socketPaths(config) : [];
  const [sockets, found] = await Promise.all([Promise.all(paths.map(lookAt)), namesOf(config, snapshot)]);
  const answering = sockets.filter(({ connected }) => connected).map(({ path }) => path);
  const seen = answering.length === 0 ? undefined : await readViews(answering, 'all').catch(() => undefined);
  return { sockets, view: seen === undefined ? null : viewByService(seen, found.backends), problems: found.problems };
}

async function lookAt(path: string): Promise<SocketStatus> {
  const end = new AbortController();
  const nothing = { path, version: null, workerPid: null, generation: null };
  try {
    const connection = await connectRuntime(path, { timeout }, end.signal);
    const [info = '', env = ''] = await connection.send(['show info', `show env ${generationVariable}`]);
    const { version, pid } = parseInfo(info);
    const generation = parseEnv(env, generationVariable) ?? null;
    return { path, connected: true, version, workerPid: pid, generation, lastError: null };
  } catch (error) {
    return { ...nothing, connected: false, lastError: plainReason(error) };
  } finally {
    end.abort();
  }
}

/** Which backend each service has; by the plainest rule when the present file cannot be read. */
async function namesOf(config: HaproxyConfig, snapshot: Snapshot<ServiceHaproxyConfig>) {
  try {
    const { backends, problems } = await preview(config, snapshot);
    return { backends, problems: Object.fromEntries(problems) };
  } catch {
    const names = [...snapshot.values()].map((state) => [state.name, state.config.backend_name ?? state.name] as const);
    return { backends: new Map(names), problems: {} };
  }
}
