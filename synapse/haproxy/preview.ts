import { timeoutSignal } from '../../common/async/timeout.ts';
import { readIfThere } from '../../common/file.ts';
import { thisHost } from '../../common/host.ts';
import type { Snapshot } from '../output.ts';
import { ConfigTextBuilder, selectWanted } from './configfile/config-text.ts';
import { generationOf } from './configfile/render.ts';
import { type HaproxyConfig, socketPaths } from './options/config.ts';
import { AssignedPorts } from './ports/port-assignment.ts';
import type { Candidate } from './ports/port-pool.ts';
import { connectRuntime } from './runtime/connection.ts';
import { parseEnv, parseInfo, parseServersState } from './runtime/parse.ts';
import { commandsOf, planBackend } from './runtime/plan.ts';
import { type RunningServers, ServerState } from './runtime/server-state.ts';
import { buildBackendSpec, generationVariable } from './spec/build-backend.ts';
import { capabilitiesOf } from './spec/capabilities.ts';
import { createDesiredService, type DesiredService, desiredServers } from './spec/desired-service.ts';
import { type ParsedConfig, parseConfig } from './spec/parse-config.ts';
import { textsOf } from './spec/reload-reason.ts';
import type { BackendSpec } from './spec/types.ts';
import { decideByVersion } from './version.ts';

/** What would be done about a snapshot. */
export interface Preview {
  /** The text of the file. */
  readonly text: string;
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
  const { services, problems } = desiredOf(config, snapshot);
  for (const desired of services.values()) desired.ids.reset(numbersIn(present, desired.wanted?.backend));
  const backends = new Map<string, string>();
  const specs: BackendSpec[] = [];
  for (const { service, wanted } of services.values()) {
    if (wanted === undefined) continue;
    specs.push(wanted);
    backends.set(wanted.poolPort === undefined ? service : wanted.service, wanted.backend);
  }
  const generation = generationOf(config, specs);
  const builder = new ConfigTextBuilder(config, services);
  const { text } = builder.build(selectWanted, generation, { file: () => present, running: new Map() });
  const plan = async (socket: string, signal: AbortSignal): Promise<SocketPlan> => {
    const running = await readRunning(socket, present, signal);
    return planFor(services.values(), running, generation);
  };
  return { text, problems, backends, plan, sockets: config.do_socket ? socketPaths(config) : [] };
}

/** What is desired of each backend, and the services that cannot have one. */
function desiredOf(config: HaproxyConfig, snapshot: Snapshot) {
  const services = new Map<string, DesiredService>();
  const problems = new Map<string, string>();
  const candidates: Candidate[] = [];
  for (const [name, state] of snapshot) {
    const desired = createDesiredService(name, config.max_server_id);
    try {
      desired.wanted = buildBackendSpec(name, state.config, config);
    } catch (error) {
      problems.set(name, (error as Error).message);
    }
    desired.instances = state.instances;
    services.set(name, desired);
    if (desired.wanted !== undefined) candidates.push({ service: name, spec: desired.wanted, config: state.config });
  }
  const ports = new AssignedPorts(config);
  for (const { desired, spec, occupant } of ports.assign(candidates)) {
    desired.wanted = spec;
    desired.instances = occupant === undefined ? [] : snapshot.get(occupant)?.instances;
    if (occupant !== undefined) services.delete(occupant);
    if (spec !== undefined) services.set(desired.service, desired);
  }
  for (const [name, reason] of ports.refused) {
    problems.set(name, reason);
    services.delete(name);
  }
  return { services, problems };
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

function* numbersIn(present: ParsedConfig, backend: string | undefined): Iterable<readonly [string, number]> {
  if (backend === undefined) return;
  for (const { name, id } of present.backends.get(backend)?.values() ?? []) if (id !== undefined) yield [name, id];
}

/** The text of the present file; empty when there is none. */
async function readPresent(path: string): Promise<string> {
  try {
    return (await readIfThere(path)) ?? '';
  } catch (error) {
    throw new Error(`cannot read ${path}`, { cause: error });
  }
}
