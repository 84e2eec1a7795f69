import type { Capabilities } from '../spec/capabilities.ts';
import type { DesiredServer } from '../spec/desired-service.ts';
import { type ReloadReason, serverReason } from '../spec/reload-reason.ts';
import { sameAddress } from '../spec/server.ts';
import { addObstacle, hasCheck, isIncomplete, serverWords } from '../spec/server-line.ts';
import type { BackendSpec, RunningBackend, RunningServer, Server } from '../spec/types.ts';
import { type RuntimeCommand, setState, startDown } from './commands.ts';
import { closedByUsWeight, draftOf, type HeldServer, markAsOurs, markedAsOurs, type ServerChange } from './draft.ts';

/** What brings what runs to what is desired. */
export interface Plan {
  /** In order: servers are added and opened before others are closed. */
  readonly changes: readonly ServerChange[];
  /** Why a reload is needed; empty when the commands suffice. */
  readonly reload: readonly ReloadReason[];
  readonly held: readonly HeldServer[];
}

/** What a plan depends on beside the servers. */
export interface PlanContext {
  readonly capabilities: Capabilities;
  /** The id of a server in HAProxy. A server without one is given one. */
  readonly idOf: (server: Server) => number | undefined;
  /** True while a server that was withdrawn may still finish its connections. */
  readonly isLeaving: (name: string) => boolean;
}

/** Nothing to do. */
export const emptyPlan: Plan = { changes: [], reload: [], held: [] };

/** The order of changes: first what adds capacity. */
const actionOrder = { add: 0, ready: 1, weight: 2, down: 3, drain: 4, maintenance: 5 };

/** Servers that cannot be deleted stay in maintenance until a reload. Only more than this many are a reason for one. */
const maxUnused = 1_000;

/** Every command of a plan, in order. */
export function commandsOf(plan: Plan): readonly RuntimeCommand[] {
  return plan.changes.flatMap(({ commands }) => commands);
}

/** Plans these servers of a backend, and no others. Pure; takes time in proportion to `wanted`, not to the backend. */
export function planServers(
  spec: BackendSpec,
  running: RunningBackend | undefined,
  wanted: Iterable<DesiredServer>,
  context: PlanContext,
): Plan {
  if (running === undefined) return { ...emptyPlan, reload: [serverReason(`backend ${spec.backend} is new`)] };
  const changes: ServerChange[] = [];
  const reload: ReloadReason[] = [];
  const held: HeldServer[] = [];
  for (const { name, server } of wanted) {
    if (spec.fixed.has(name)) continue;
    const current = running.get(name);
    const step =
      server === undefined ? planUnwanted(spec, current, context) : planServer(spec, current, server, context);
    if (step.change !== undefined) changes.push(step.change);
    if (step.reload !== undefined) {
      const { service, backend } = spec;
      const about = { service, server: { backend, name, wanted: server?.fixedWords } };
      reload.push(serverReason(`${step.reload} (${backend}/${name})`, about));
    }
    if (step.held !== undefined) held.push(step.held);
  }
  changes.sort((a, b) => actionOrder[a.action] - actionOrder[b.action]);
  return { changes, reload, held };
}

/** Plans a whole backend: the desired servers, and those that run without being desired. Pure. */
export function planBackend(
  spec: BackendSpec,
  running: RunningBackend | undefined,
  desired: ReadonlyMap<string, Server>,
  context: PlanContext,
): Plan {
  const plan = planServers(spec, running, allServers(running, desired), context);
  const unused = countUnused(running, desired);
  if (unused <= Math.max(maxUnused, 2 * desired.size)) return plan;
  const { service } = spec;
  const reason = serverReason(`${unused} servers of ${spec.backend} stay in maintenance until a reload`, { service });
  return { ...plan, reload: [...plan.reload, reason] };
}

/** How many servers we have put into maintenance because they are not desired. */
function countUnused(running: RunningBackend | undefined, desired: ReadonlyMap<string, Server>): number {
  if (running === undefined || running.size <= maxUnused) return 0;
  let count = 0;
  for (const server of running.values()) if (server.maintenance && server.ours && !desired.has(server.name)) count += 1;
  return count;
}

function* allServers(
  running: RunningBackend | undefined,
  desired: ReadonlyMap<string, Server>,
): Iterable<DesiredServer> {
  for (const [name, server] of desired) yield { name, server };
  for (const name of running?.keys() ?? []) if (!desired.has(name)) yield { name, server: undefined };
}

/** What a plan says about one server. */
interface Step {
  readonly change?: ServerChange;
  readonly reload?: string;
  readonly held?: HeldServer;
}

function planServer(spec: BackendSpec, current: RunningServer | undefined, server: Server, context: PlanContext): Step {
  if (current === undefined) return planAdd(spec, server, context);
  if (!sameAddress(current.address, server.address)) return { reload: `the server's address is ${current.address}` };
  const draft = draftOf(spec, current, server);
  const { commands, after, action, held } = draft;
  const reload = draft.reload ?? (differs(current, server, spec) ? "the server's options changed" : current.lacks);
  return {
    ...(commands.length > 0 && { change: { backend: spec.backend, name: server.name, action, commands, after } }),
    ...(reload !== undefined && { reload }),
    ...(held !== undefined && { held: heldServer(spec, current, server, held) }),
  };
}

function heldServer(
  { backend }: BackendSpec,
  { weight }: RunningServer,
  server: Server,
  held: HeldServer['held'],
): HeldServer {
  const { name } = server;
  const target = `${backend}/${name}`;
  if (held === 'weight') return { backend, name, held, weight, undo: `set server ${target} weight ${server.weight}` };
  return { backend, name, held, undo: setState(target, server.state === 'drain' ? 'drain' : 'ready').text };
}

/**
 * True when the server has options that only a reload changes. The options of a server are unknown if it was in maintenance,
 * and so not in the file, when synapse started. Then a server without options of its own is taken to be like all others,
 * because the options of its service are part of the generation.
 */
function differs(current: RunningServer, server: Server, { poolPort }: BackendSpec): boolean {
  if (current.fixedWords !== undefined) return current.fixedWords !== server.fixedWords;
  // On a port of reload_free_services, the server may have been another service's.
  if (poolPort !== undefined) return true;
  return server.instance.backup || server.instance.serverOptions !== undefined;
}

function planAdd(spec: BackendSpec, server: Server, context: PlanContext): Step {
  const { capabilities } = context;
  const { servers: template, backend } = spec;
  const obstacle = spec.dynamic
    ? addObstacle(server, template, capabilities)
    : 'its balance algorithm has a fixed set of servers';
  if (obstacle !== undefined) return { reload: `cannot add the server: ${obstacle}` };
  const incomplete = isIncomplete(template, capabilities);
  if (incomplete && template.waitsForCookie) return { reload: 'cannot add the server: it would lack its cookie' };
  const id = context.idOf(server);
  const target = `${backend}/${server.name}`;
  const isReady = server.state === 'ready';
  const isDrained = server.state === 'drain';
  const [checks, asksAgent] = [hasCheck(server, template, 'check'), hasCheck(server, template, 'agent-check')];
  const commands: RuntimeCommand[] = [
    {
      kind: 'add',
      text: `add server ${target} ${server.address} ${serverWords(server, id, { template, capabilities })}`.trimEnd(),
    },
    ...(checks ? [{ kind: 'health', text: `enable health ${target}` } as const] : []),
    ...(asksAgent ? [{ kind: 'agent', text: `enable agent ${target}` } as const] : []),
    ...(isReady ? [setState(target, 'ready'), ...startDown(target, server, template)] : []),
    ...(isDrained ? [setState(target, 'drain'), markAsOurs(target)] : []),
  ];
  const lacks = incomplete ? 'the server was added at run time, without its cookie' : undefined;
  const after: RunningServer = {
    name: server.name,
    id: id ?? 0,
    address: server.address,
    maintenance: server.state === 'closed',
    drained: isDrained,
    failing: false,
    withheld: false,
    checked: checks || asksAgent,
    weight: server.weight,
    ourWeight: server.weight,
    // A server is added in maintenance, which is ours until HAProxy has confirmed that the server is open.
    ours: true,
    fixedWords: server.fixedWords,
    maxconn: server.maxconn,
    lacks,
  };
  const action = isReady ? 'add' : 'drain';
  return {
    change: { backend, name: server.name, action, commands, after: isDrained ? markedAsOurs(after) : after },
    ...(lacks !== undefined && { reload: lacks }),
  };
}

function planUnwanted(spec: BackendSpec, current: RunningServer | undefined, context: PlanContext): Step {
  if (current === undefined || !isNamedByUs(current)) return {};
  const target = `${spec.backend}/${current.name}`;
  const change = { backend: spec.backend, name: current.name };
  if (current.maintenance) {
    if (current.ours || current.weight !== closedByUsWeight || !spec.dynamic) return {};
    // A synapse that was killed has closed it, and the file still has its drain: nothing else tells that from an operator's work.
    const commands = [markAsOurs(target)];
    return { change: { ...change, action: 'maintenance', commands, after: markedAsOurs(current) } };
  }
  if (context.isLeaving(current.name)) {
    if (current.drained) return {};
    const after = { ...current, maintenance: false, drained: true, ours: true };
    return { change: { ...change, action: 'drain', commands: [setState(target, 'drain')], after } };
  }
  const after = { ...current, maintenance: true, drained: false, ours: true };
  const commands = [setState(target, 'maint')];
  if (!spec.dynamic) return { change: { ...change, action: 'maintenance', commands, after } };
  commands.push(markAsOurs(target));
  return { change: { ...change, action: 'maintenance', commands, after: markedAsOurs(after) } };
}

/** True when the server is named after its address, as ours are. A server under another name was added by an operator. */
export function isNamedByUs({ name, address }: RunningServer): boolean {
  if (name === address || name.endsWith(`_${address}`)) return true;
  const own = /^(?:.*_)?([^_]+:[0-9]+)$/.exec(name)?.[1];
  return own !== undefined && sameAddress(own, address);
}
