import type { DesiredService } from '../spec/desired-service.ts';
import { sameAddress } from '../spec/server.ts';
import type { RunningServer } from '../spec/types.ts';
import { type RuntimeCommand, setState } from './commands.ts';
import type { ServerChange } from './draft.ts';
import type { RunningServers } from './server-state.ts';

/**
 * What a new worker must be told, because only its predecessor had it and the file does not: what an operator set by hand,
 * and which servers have failed their check (a new worker takes each server to be up until its first check).
 * Covers only servers whose address has stayed the same. Pure.
 */
export function carryOver(
  services: Iterable<DesiredService>,
  before: RunningServers,
  now: RunningServers,
): readonly ServerChange[] {
  const changes: ServerChange[] = [];
  for (const { active } of services) {
    if (active === undefined) continue;
    const { backend, fixed } = active;
    const servers = [...(now.get(backend)?.values() ?? [])];
    const pairs = servers.flatMap((server) => {
      const old = before.get(backend)?.get(server.name);
      return old === undefined || fixed.has(old.name) || !sameAddress(old.address, server.address)
        ? []
        : [{ old, server }];
    });
    const failing = new Set(
      pairs.filter(({ old, server }) => old.failing && isOpen(server)).map(({ old }) => old.name),
    );
    // The failures may be out of date: a backend without any server would be worse than one with a failing server.
    const someLeft = servers.some((server) => isOpen(server) && !failing.has(server.name));
    for (const { old, server } of pairs) {
      const change = changeFor(server, { backend, old, down: someLeft && failing.has(server.name) });
      if (change !== undefined) changes.push(change);
    }
  }
  return changes;
}

function isOpen({ maintenance, drained, failing }: RunningServer): boolean {
  return !maintenance && !drained && !failing;
}

interface Carried {
  readonly backend: string;
  /** The server in the worker before. */
  readonly old: RunningServer;
  /** The server has failed its check there. */
  readonly down: boolean;
}

function changeFor(server: RunningServer, { backend, old, down }: Carried): ServerChange | undefined {
  const target = `${backend}/${server.name}`;
  const commands: RuntimeCommand[] = [];
  let after = server;
  let action: ServerChange['action'] = 'weight';
  // If our weight has changed meanwhile, it is newer than the one set by hand.
  if (old.weight !== old.ourWeight && old.ourWeight === server.weight) {
    commands.push({ kind: 'weight', text: `set server ${target} weight ${old.weight}` });
    after = { ...after, weight: old.weight };
  }
  if ((old.maintenance || old.drained) && !old.ours && !server.maintenance && !server.drained) {
    commands.push(setState(target, old.maintenance ? 'maint' : 'drain'));
    after = { ...after, maintenance: old.maintenance, drained: old.drained && !old.maintenance, ours: false };
    action = old.maintenance ? 'maintenance' : 'drain';
  } else if (down) {
    commands.push({ kind: 'state', text: `set server ${target} health down` });
    after = { ...after, failing: true };
    action = 'down';
  }
  return commands.length === 0 ? undefined : { backend, name: server.name, action, commands, after };
}
