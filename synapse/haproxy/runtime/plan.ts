import type { Capabilities } from '../spec/capabilities.ts';
import type { DesiredServer } from '../spec/desired-service.ts';
import { type ReloadReason, serverReason } from '../spec/reload-reason.ts';
import { maxconnOf, sameAddress } from '../spec/server.ts';
import { addObstacle, hasCheck, isIncomplete, serverWords } from '../spec/server-line.ts';
import { parseOptions } from '../spec/server-options.ts';
import type { BackendSpec, RunningBackend, RunningServer, Server, ServerTemplate } from '../spec/types.ts';
import type { CommandKind } from './reply.ts';

/** One line for the runtime API. */
export interface RuntimeCommand {
  readonly kind: CommandKind;
  readonly text: string;
}

/** The commands that bring one server to what it should be, and what it is after them. */
export interface ServerChange {
  readonly backend: string;
  readonly name: string;
  readonly action: 'add' | 'ready' | 'weight' | 'down' | 'drain' | 'maintenance';
  readonly commands: readonly RuntimeCommand[];
  readonly after: RunningServer;
}

/** A server that somebody else set to something we would not; it stays so. */
export interface HeldServer {
  readonly backend: string;
  readonly name: string;
  readonly held: 'maintenance' | 'drain' | 'weight';
}

/** What to do between what runs and what is desired. */
export interface Plan {
  /** In order: servers are made and opened before others are closed. */
  readonly changes: readonly ServerChange[];
  /** Why a reload is needed; empty when the commands suffice. */
  readonly reload: readonly ReloadReason[];
  readonly held: readonly HeldServer[];
}

export interface PlanContext {
  readonly capabilities: Capabilities;
  /** The number of a server, given out when it has none yet. */
  readonly idOf: (server: Server) => number | undefined;
  /** True while a server that was withdrawn may still finish its connections. */
  readonly isLeaving: (name: string) => boolean;
}

export const emptyPlan: Plan = { changes: [], reload: [], held: [] };

/** Every command of a plan, in order. */
export function commandsOf(plan: Plan): readonly RuntimeCommand[] {
  return plan.changes.flatMap(({ commands }) => commands);
}

/**
 * Plans the servers named in `wanted`, and no others: all of a backend after reading it, those that changed when it is
 * known. Pure; costs what `wanted` costs.
 */
export function planServers(
  structure: BackendSpec,
  running: RunningBackend | undefined,
  wanted: Iterable<DesiredServer>,
  context: PlanContext,
): Plan {
  if (running === undefined) return { ...emptyPlan, reload: [serverReason(`backend ${structure.backend} is new`)] };
  const changes: ServerChange[] = [];
  const reload: ReloadReason[] = [];
  const held: HeldServer[] = [];
  for (const { name, server } of wanted) {
    if (structure.fixed.has(name)) continue;
    const current = running.get(name);
    const step =
      server === undefined ? planGone(structure, current, context) : planServer(structure, current, server, context);
    if (step.change !== undefined) changes.push(step.change);
    if (step.reload !== undefined) reload.push(serverReason(`${step.reload} (${structure.backend}/${name})`));
    if (step.held !== undefined) held.push({ backend: structure.backend, name, held: step.held });
  }
  const order = { add: 0, ready: 1, weight: 2, down: 3, drain: 4, maintenance: 5 };
  changes.sort((a, b) => order[a.action] - order[b.action]);
  return { changes, reload, held };
}

/** The whole backend: what is desired, and what runs without being desired any more. */
export function planBackend(
  structure: BackendSpec,
  running: RunningBackend | undefined,
  desired: ReadonlyMap<string, Server>,
  context: PlanContext,
): Plan {
  const plan = planServers(structure, running, wantedOf(running, desired), context);
  const out = countOut(running, desired);
  if (out <= Math.max(mostOut, 2 * desired.size)) return plan;
  const reason = serverReason(`${out} servers of ${structure.backend} are out of service for good`);
  return { ...plan, reload: [...plan.reload, reason] };
}

/** Servers that cannot be deleted stay in maintenance until a reload; so many are worth one. */
const mostOut = 1_000;

function countOut(running: RunningBackend | undefined, desired: ReadonlyMap<string, Server>): number {
  if (running === undefined || running.size <= mostOut) return 0;
  let count = 0;
  for (const server of running.values()) if (server.maintenance && server.ours && !desired.has(server.name)) count += 1;
  return count;
}

function* wantedOf(running: RunningBackend | undefined, desired: ReadonlyMap<string, Server>): Iterable<DesiredServer> {
  for (const [name, server] of desired) yield { name, server };
  for (const name of running?.keys() ?? []) if (!desired.has(name)) yield { name, server: undefined };
}

interface Step {
  readonly change?: ServerChange;
  readonly reload?: string;
  readonly held?: HeldServer['held'];
}

function planServer(
  structure: BackendSpec,
  current: RunningServer | undefined,
  server: Server,
  context: PlanContext,
): Step {
  if (current === undefined) return planAdd(structure, server, context);
  if (!sameAddress(current.address, server.address)) return { reload: `the server's address is ${current.address}` };
  const target = `${structure.backend}/${server.name}`;
  const commands: RuntimeCommand[] = [];
  let after = current;
  let action: ServerChange['action'] = 'weight';
  let held: HeldServer['held'] | undefined;

  if (server.state === 'drain') {
    if (current.maintenance && !current.ours) held = 'maintenance';
    else if (current.maintenance || !current.drained) {
      commands.push(setState(target, 'drain'));
      after = { ...after, maintenance: false, drained: true, ours: true };
      action = 'drain';
    }
  } else {
    if (current.maxconn !== undefined && current.maxconn !== server.maxconn) {
      const limit = server.maxconn ?? inheritedMaxconn(structure.servers);
      commands.push({ kind: 'maxconn', text: `set maxconn server ${target} ${limit}` });
      after = { ...after, maxconn: server.maxconn };
    }
    if (current.maintenance || current.drained) {
      if (current.ours) {
        commands.push(setState(target, 'ready'));
        if (current.maintenance) commands.push(...startDown(target, server, structure.servers));
        // `ours` stays until a reply or a read says that it worked.
        after = { ...after, maintenance: false, drained: false };
        action = 'ready';
      } else held = current.maintenance ? 'maintenance' : 'drain';
    }
    if (current.weight !== server.weight) {
      if (current.ourWeight === server.weight) held ??= 'weight';
      else if (structure.dynamic) {
        commands.push({ kind: 'weight', text: `set server ${target} weight ${server.weight}` });
        after = { ...after, weight: server.weight, ourWeight: server.weight };
      } else {
        return withReload(
          { commands, after, action, held },
          structure,
          server,
          'its balance algorithm has fixed weights',
        );
      }
    }
  }
  const reload = differs(current, server, structure) ? "the server's options changed" : current.lacks;
  return withReload({ commands, after, action, held }, structure, server, reload);
}

interface Draft {
  readonly commands: readonly RuntimeCommand[];
  readonly after: RunningServer;
  readonly action: ServerChange['action'];
  readonly held: HeldServer['held'] | undefined;
}

function withReload(draft: Draft, structure: BackendSpec, server: Server, reload: string | undefined): Step {
  const { commands, after, action, held } = draft;
  return {
    ...(commands.length > 0 && { change: { backend: structure.backend, name: server.name, action, commands, after } }),
    ...(reload !== undefined && { reload }),
    ...(held !== undefined && { held }),
  };
}

/**
 * Options that only a reload changes. Where nobody knows what a server was made with (it was in maintenance, out of the
 * file, when synapse started), a server without options of its own is taken to be as all others: its service's options
 * are part of the generation.
 */
function differs(current: RunningServer, server: Server, { poolPort }: BackendSpec): boolean {
  if (current.fixedWords !== undefined) return current.fixedWords !== server.fixedWords;
  // On a port of reload_free_services, the server may have been another service's.
  if (poolPort !== undefined) return true;
  return server.instance.backup || server.instance.serverOptions !== undefined;
}

function planAdd(structure: BackendSpec, server: Server, context: PlanContext): Step {
  const { capabilities } = context;
  const { servers: template, backend } = structure;
  const obstacle = structure.dynamic
    ? addObstacle(server, template, capabilities)
    : 'its balance algorithm has a fixed set of servers';
  if (obstacle !== undefined) return { reload: `cannot add the server: ${obstacle}` };
  const id = context.idOf(server);
  const target = `${backend}/${server.name}`;
  const drain = server.state === 'drain';
  const commands: RuntimeCommand[] = [
    {
      kind: 'add',
      text: `add server ${target} ${server.address} ${serverWords(server, id, { template, capabilities })}`.trimEnd(),
    },
    ...(hasCheck(server, template, 'check') ? [{ kind: 'health', text: `enable health ${target}` } as const] : []),
    ...(hasCheck(server, template, 'agent-check') ? [{ kind: 'agent', text: `enable agent ${target}` } as const] : []),
    setState(target, drain ? 'drain' : 'ready'),
    ...(drain ? [] : startDown(target, server, template)),
  ];
  const lacks = isIncomplete(template, capabilities)
    ? 'the server was added at run time, without its cookie'
    : undefined;
  const after: RunningServer = {
    name: server.name,
    id: id ?? 0,
    address: server.address,
    maintenance: false,
    drained: drain,
    failing: false,
    weight: server.weight,
    ourWeight: server.weight,
    // A server is made in maintenance: until it is known to be out of it, that is our doing.
    ours: true,
    fixedWords: server.fixedWords,
    maxconn: server.maxconn,
    lacks,
  };
  return {
    change: { backend, name: server.name, action: drain ? 'drain' : 'add', commands, after },
    ...(lacks !== undefined && { reload: lacks }),
  };
}

function planGone(structure: BackendSpec, current: RunningServer | undefined, context: PlanContext): Step {
  if (current === undefined || current.maintenance || !isNamedByUs(current)) return {};
  const target = `${structure.backend}/${current.name}`;
  const leaving = context.isLeaving(current.name);
  if (leaving && current.drained) return {};
  return {
    change: {
      backend: structure.backend,
      name: current.name,
      action: leaving ? 'drain' : 'maintenance',
      commands: [setState(target, leaving ? 'drain' : 'maint')],
      after: { ...current, maintenance: !leaving, drained: leaving, ours: true },
    },
  };
}

/** Our servers are named after their address; what an operator added under another name is not ours to remove. */
export function isNamedByUs({ name, address }: RunningServer): boolean {
  if (name === address || name.endsWith(`_${address}`)) return true;
  const own = /^(?:.*_)?([^_]+:[0-9]+)$/.exec(name)?.[1];
  return own !== undefined && sameAddress(own, address);
}

/** What `init-state` does where HAProxy knows it; before a server is opened, the command would be ignored. */
function startDown(target: string, server: Server, template: ServerTemplate): readonly RuntimeCommand[] {
  if (!server.startsDown || !hasCheck(server, template, 'check')) return [];
  return [{ kind: 'state', text: `set server ${target} health down` }];
}

/** What a server without a `maxconn` of its own has; 0 stands for no limit (configuration manual, section 5.2 "maxconn"). */
function inheritedMaxconn({ inherited }: ServerTemplate): number {
  return maxconnOf(parseOptions(inherited.join(' '))) ?? 0;
}

/** The command that opens, drains or closes `backend/server`. */
export function setState(target: string, state: 'ready' | 'drain' | 'maint'): RuntimeCommand {
  return { kind: 'state', text: `set server ${target} state ${state}` };
}
