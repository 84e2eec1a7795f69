import { timeoutSignal } from '../../common/async/timeout.ts';
import { thisHost } from '../../common/host.ts';
import type { Snapshot } from '../output.ts';
import { ConfigTextBuilder, selectWanted } from './configfile/config-text.ts';
import { generationOf } from './configfile/render.ts';
import { type HaproxyConfig, socketPaths } from './options/config.ts';
import { createSlotKeeper } from './ports/port-assignment.ts';
import type { Candidate } from './ports/port-pool.ts';
import { connectRuntime } from './runtime/connection.ts';
import { parseEnv, parseInfo, parseServersState } from './runtime/parse.ts';
import { commandsOf, planBackend } from './runtime/plan.ts';
import { runningServerOf } from './runtime/server-state.ts';
import { buildBackendSpec, generationVariable } from './spec/build-backend.ts';
import { capabilitiesOf } from './spec/capabilities.ts';
import { createDesiredService, type DesiredService, desiredServers } from './spec/desired-service.ts';
import { type ParsedConfig, parseConfig } from './spec/parse-config.ts';
import { textsOf } from './spec/reload-reason.ts';
import type { RunningServer } from './spec/types.ts';
import { decideByVersion } from './version.ts';

/** What would be done about a snapshot; nothing is done. */
export interface Preview {
  /** The text of the file. */
  readonly text: string;
  /** Services that cannot be in HAProxy, with the reason. */
  readonly problems: ReadonlyMap<string, string>;
  /** Service → its backend. */
  readonly backends: ReadonlyMap<string, string>;
  /** What one running HAProxy would be told. @throws when it cannot be asked */
  plan(socket: string, signal: AbortSignal): Promise<SocketPlan>;
  /** The runtime API sockets of the configuration. */
  readonly sockets: readonly string[];
}

/** What brings one running HAProxy to the snapshot. */
export interface SocketPlan {
  readonly version: string;
  readonly commands: readonly string[];
  /** Why a reload is needed; empty when the commands suffice. */
  readonly reload: readonly string[];
}

const replyTimeoutMs = 3_000;
const versionTimeoutMs = 10_000;

/** Works out the file for a snapshot, with the numbers of the one that is there. @throws when that cannot be read */
export async function preview(given: HaproxyConfig, snapshot: Snapshot): Promise<Preview> {
  const config = await decideByVersion(given, thisHost, timeoutSignal(versionTimeoutMs));
  const existing = parseConfig(config.config_file_path === null ? '' : await readIfThere(config.config_file_path));
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
    if (desired.wanted !== undefined)
      candidates.push({ service: name, structure: desired.wanted, config: state.config });
  }
  const slots = createSlotKeeper(config);
  for (const { desired, structure, occupant } of slots.assign(candidates)) {
    desired.wanted = structure;
    desired.instances = occupant === undefined ? [] : snapshot.get(occupant)?.instances;
    if (occupant !== undefined) services.delete(occupant);
    if (structure !== undefined) services.set(desired.service, desired);
  }
  const backends = new Map<string, string>();
  for (const { service, wanted } of services.values()) {
    if (wanted !== undefined) backends.set(wanted.slot === undefined ? service : wanted.service, wanted.backend);
  }
  for (const [name, reason] of slots.refused) {
    problems.set(name, reason);
    services.delete(name);
  }
  for (const desired of services.values()) desired.ids.reset(numbersIn(existing, desired.wanted?.backend));
  const structures = [...services.values()].map(({ wanted }) => wanted).filter((wanted) => wanted !== undefined);
  const generation = generationOf(config, structures);
  const { text } = new ConfigTextBuilder(config, services).build(selectWanted, generation, {
    file: () => existing,
    running: new Map(),
  });

  const plan = async (socket: string, signal: AbortSignal): Promise<SocketPlan> => {
    const { running, version, loaded } = await readRunning(socket, existing, signal);
    const commands: string[] = [];
    const reload: string[] = [];
    if (loaded !== generation) {
      const what = loaded === undefined ? "a configuration that is not synapse's" : `configuration ${loaded}`;
      reload.push(`HAProxy runs ${what}; wanted is ${generation}`);
    }
    for (const desired of services.values()) {
      const structure = desired.wanted;
      const servers = structure && desiredServers(desired, structure);
      if (servers === undefined) continue;
      const found = planBackend(
        structure as NonNullable<typeof structure>,
        running.get(structure?.backend ?? ''),
        servers,
        {
          capabilities: capabilitiesOf(version),
          idOf: ({ name, explicitId }) => desired.ids.claim(name, explicitId),
          isLeaving: () => false,
        },
      );
      commands.push(...commandsOf(found).map((command) => command.text));
      reload.push(...textsOf(found.reload));
    }
    return { version, commands, reload };
  };
  return { text, problems, backends, plan, sockets: config.do_socket ? socketPaths(config) : [] };
}

async function readRunning(socket: string, existing: ParsedConfig, signal: AbortSignal) {
  const connection = await connectRuntime(socket, { connectUnix: thisHost.connectUnix, replyTimeoutMs }, signal);
  try {
    const [info = '', env = '', state = ''] = await connection.send([
      'show info',
      `show env ${generationVariable}`,
      'show servers state',
    ]);
    const generation = parseEnv(env, generationVariable);
    const loaded = generation !== undefined && generation === existing.generation;
    const running = new Map<string, Map<string, RunningServer>>();
    if (loaded) for (const backend of existing.backends.keys()) running.set(backend, new Map());
    for (const row of parseServersState(state)) {
      const servers = running.get(row.backend) ?? new Map<string, RunningServer>();
      running.set(row.backend, servers);
      const file = existing.backends.get(row.backend)?.get(row.name);
      servers.set(row.name, runningServerOf(row, { previous: undefined, file, loaded, worker: 'first' }));
    }
    return { running, version: parseInfo(info).version, loaded: generation };
  } finally {
    connection.close();
  }
}

function* numbersIn(existing: ParsedConfig, backend: string | undefined): Iterable<readonly [string, number]> {
  if (backend === undefined) return;
  for (const { name, id } of existing.backends.get(backend)?.values() ?? []) if (id !== undefined) yield [name, id];
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await thisHost.files.read(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new Error(`cannot read ${path}`, { cause: error });
  }
}
