import { timeoutSignal } from '../../common/async/timeout.ts';
import { readIfThere } from '../../common/file.ts';
import { thisHost } from '../../common/host.ts';
import type { Snapshot } from '../output.ts';
import type { Finding } from './configfile/check.ts';
import { type ExplainedFinding, explainFindings } from './configfile/refusal.ts';
import { type HaproxyConfig, socketPaths } from './options/config.ts';
import { connectRuntime } from './runtime/connection.ts';
import { parseEnv, parseInfo, parseServersState } from './runtime/parse.ts';
import { commandsOf, planBackend } from './runtime/plan.ts';
import { type RunningServers, ServerState } from './runtime/server-state.ts';
import { generationVariable } from './spec/build-backend.ts';
import { capabilitiesOf } from './spec/capabilities.ts';
import { type DesiredService, desiredServers } from './spec/desired-service.ts';
import { type ParsedConfig, parseConfig } from './spec/parse-config.ts';
import { textsOf } from './spec/reload-reason.ts';
import { decideByVersion } from './version.ts';
import { wantedText } from './wanted-text.ts';

/** What would be done about a snapshot. */
export interface Preview {
  /** The text of the file. */
  readonly text: string;
  /** HAProxy's errors about the text, in the words of the configuration. */
  explain(findings: readonly Finding[]): readonly ExplainedFinding[];
  /** Service that cannot be in HAProxy → the reason. */
  readonly problems: ReadonlyMap<string, string>;
  /** Service → its backend. */
  readonly backends: ReadonlyMap<string, string>;
  /** Compares with one running HAProxy. @throws when that HAProxy cannot be asked */
  plan(socket: string, signal: AbortSignal): Promise<SocketPlan>;
  /** The runtime API sockets of the configuration. */
  readonly sockets: readonly string[];
}

/** What would bring one running HAProxy to the snapshot. */
export interface SocketPlan {
  readonly version: string;
  readonly commands: readonly string[];
  /** Why a reload is needed; empty when the commands suffice. */
  readonly reload: readonly string[];
}

const replyTimeoutMs = 3_000;
const versionTimeoutMs = 10_000;

/**
 * Works out the file for a snapshot; servers keep the numbers of the present file. Writes and changes nothing. For commands.
 * @throws when the present file is there and cannot be read
 */
export async function preview(options: HaproxyConfig, snapshot: Snapshot): Promise<Preview> {
  const config = await decideByVersion(options, thisHost, timeoutSignal(versionTimeoutMs));
  const present = parseConfig(config.config_file_path === null ? '' : await readPresent(config.config_file_path));
  const { services, generation, text, problems } = wantedText(config, snapshot, present);
  const backends = new Map<string, string>();
  for (const { service, wanted } of services.values()) {
    if (wanted === undefined) continue;
    backends.set(wanted.poolPort === undefined ? service : wanted.service, wanted.backend);
  }
  const plan = async (socket: string, signal: AbortSignal): Promise<SocketPlan> => {
    const running = await readRunning(socket, present, signal);
    return planFor(services.values(), running, generation);
  };
  const explain = (findings: readonly Finding[]) => explainFindings(findings, text, { config, services });
  return { text: text.text, explain, problems, backends, plan, sockets: config.do_socket ? socketPaths(config) : [] };
}

/** What runs in one HAProxy. */
interface Running {
  readonly version: string;
  readonly generation: string | undefined;
  readonly servers: RunningServers;
}

function planFor(services: Iterable<DesiredService>, running: Running, generation: string): SocketPlan {
  const { version, servers: runningServers } = running;
  const capabilities = capabilitiesOf(version);
  const commands: string[] = [];
  const reload: string[] = [];
  if (running.generation !== generation) {
    const what =
      running.generation === undefined
        ? "a configuration that is not synapse's"
        : `configuration ${running.generation}`;
    reload.push(`HAProxy runs ${what}; wanted is ${generation}`);
  }
  for (const desired of services) {
    const spec = desired.wanted;
    const servers = spec && desiredServers(desired, spec);
    if (spec === undefined || servers === undefined) continue;
    const plan = planBackend(spec, runningServers.get(spec.backend), servers, {
      capabilities,
      idOf: ({ name, askedId }) => desired.ids.claim(name, askedId),
      isLeaving: () => false,
    });
    commands.push(...commandsOf(plan).map(({ text }) => text));
    reload.push(...textsOf(plan.reload));
  }
  return { version, commands, reload };
}

async function readRunning(socket: string, present: ParsedConfig, signal: AbortSignal): Promise<Running> {
  const { connectUnix } = thisHost;
  const connection = await connectRuntime(socket, { connectUnix, replyTimeoutMs }, signal);
  try {
    const [info = '', env = '', rows = ''] = await connection.send([
      'show info',
      `show env ${generationVariable}`,
      'show servers state',
    ]);
    const generation = parseEnv(env, generationVariable);
    const state = new ServerState(() => present);
    state.replace(parseServersState(rows), 'first', generation);
    return { version: parseInfo(info).version, generation, servers: state.running };
  } finally {
    connection.close();
  }
}

/** The text of the present file; empty when there is none. */
async function readPresent(path: string): Promise<string> {
  try {
    return (await readIfThere(path)) ?? '';
  } catch (error) {
    throw new Error(`cannot read ${path}`, { cause: error });
  }
}
