import { maxconnOf } from '../spec/server.ts';
import { parseOptions } from '../spec/server-options.ts';
import type { BackendSpec, RunningServer, Server, ServerTemplate } from '../spec/types.ts';
import { type RuntimeCommand, setState, startDown } from './commands.ts';

/** The commands that bring one server to what it should be. */
export interface ServerChange {
  readonly backend: string;
  readonly name: string;
  readonly action: 'add' | 'ready' | 'weight' | 'down' | 'drain' | 'maintenance';
  readonly commands: readonly RuntimeCommand[];
  /** The server as it is when HAProxy has carried them out. */
  readonly after: RunningServer;
}

/** A server that an operator has changed. It stays as it is. */
export interface HeldServer {
  readonly backend: string;
  readonly name: string;
  readonly held: 'maintenance' | 'drain' | 'weight';
  /** For a weight: the one that HAProxy uses. */
  readonly weight?: number;
  /** The command that ends it: HAProxy has what synapse wants then. */
  readonly undo: string;
}

/** The weight of a server that synapse has put into maintenance or drained, where the balance algorithm lets weights change. */
export const closedByUsWeight = 0;

/** A step while it is being put together. */
export interface Draft {
  readonly commands: readonly RuntimeCommand[];
  readonly after: RunningServer;
  readonly action: ServerChange['action'];
  readonly held: HeldServer['held'] | undefined;
  readonly reload?: string;
}

/** What brings a server that runs, at its address, to the state and the weight that it should have. */
export function draftOf(spec: BackendSpec, current: RunningServer, server: Server): Draft {
  if (server.state === 'closed') return draftClosed(spec, current, server);
  return server.state === 'drain' ? draftDrain(spec, current, server) : draftReady(spec, current, server);
}

function draftClosed({ backend }: BackendSpec, current: RunningServer, server: Server): Draft {
  if (current.maintenance) return { commands: [], after: current, action: 'maintenance', held: undefined };
  const after = { ...current, maintenance: true, drained: false, ours: true };
  return { commands: [setState(`${backend}/${server.name}`, 'maint')], after, action: 'maintenance', held: undefined };
}

function draftDrain({ backend, dynamic }: BackendSpec, current: RunningServer, server: Server): Draft {
  const unchanged = { commands: [], after: current, action: 'weight', held: undefined } as const;
  if (current.maintenance && !current.ours) return { ...unchanged, held: 'maintenance' };
  if (!current.maintenance && current.drained) return unchanged;
  const target = `${backend}/${server.name}`;
  const after = { ...current, maintenance: false, drained: true, ours: true };
  const commands = [setState(target, 'drain')];
  const isOurWeight = current.weight === current.ourWeight || Number.isNaN(current.ourWeight);
  if (!dynamic || !isOurWeight) return { commands, after, action: 'drain', held: undefined };
  return { commands: [...commands, markAsOurs(target)], after: markedAsOurs(after), action: 'drain', held: undefined };
}

/** A mark for a synapse that starts after this one was killed: an operator's drain or maintenance leaves the weight as it is. */
export function markAsOurs(target: string): RuntimeCommand {
  return { kind: 'weight', text: `set server ${target} weight ${closedByUsWeight}` };
}

/** The server after {@link markAsOurs}. */
export function markedAsOurs(server: RunningServer): RunningServer {
  return { ...server, ours: true, weight: closedByUsWeight, ourWeight: closedByUsWeight };
}

function draftReady(spec: BackendSpec, current: RunningServer, server: Server): Draft {
  const target = `${spec.backend}/${server.name}`;
  const commands: RuntimeCommand[] = [];
  let after = current;
  let action: ServerChange['action'] = 'weight';
  let held: HeldServer['held'] | undefined;
  if (current.maxconn !== undefined && current.maxconn !== server.maxconn) {
    const limit = server.maxconn ?? inheritedMaxconn(spec.servers);
    commands.push({ kind: 'maxconn', text: `set maxconn server ${target} ${limit}` });
    after = { ...after, maxconn: server.maxconn };
  }
  if ((current.maintenance || current.drained) && !current.ours) held = current.maintenance ? 'maintenance' : 'drain';
  else if (current.maintenance || current.drained) {
    commands.push(setState(target, 'ready'));
    if (current.maintenance) commands.push(...startDown(target, server, spec.servers));
    // `ours` stays until a reply or a reading says that the server is open.
    after = { ...after, maintenance: false, drained: false };
    action = 'ready';
  }
  if (current.weight === server.weight) return { commands, after, action, held };
  if (current.ourWeight === server.weight) return { commands, after, action, held: held ?? 'weight' };
  if (!spec.dynamic) return { commands, after, action, held, reload: 'its balance algorithm has fixed weights' };
  commands.push({ kind: 'weight', text: `set server ${target} weight ${server.weight}` });
  after = { ...after, weight: server.weight, ourWeight: server.weight };
  return { commands, after, action, held };
}

/** The limit of a server without a `maxconn` of its own; 0 is no limit (configuration manual, section 5.2 "maxconn"). */
function inheritedMaxconn({ inherited }: ServerTemplate): number {
  return maxconnOf(parseOptions(inherited.join(' '))) ?? 0;
}
