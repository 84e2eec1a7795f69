import type { DesiredService } from '../spec/desired-service.ts';
import { sameAddress } from '../spec/server.ts';
import type { RunningServer } from '../spec/types.ts';
import { type RuntimeCommand, type ServerChange, setState } from './plan.ts';

type Running = ReadonlyMap<string, ReadonlyMap<string, RunningServer>>;

/**
 * What the worker before had and the file has not, for its successor: what somebody set by hand, and which servers had
 * failed their check (a new worker takes each server to be up until its first checks are over). Only for servers that
 * are still the same: their address is part of their name. Pure.
 */
export function overlayOf(services: Iterable<DesiredService>, before: Running, now: Running): readonly ServerChange[] {
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
    // What was read last may be old: better a server too many than none.
    const someLeft = servers.some((server) => isOpen(server) && !failing.has(server.name));
    for (const { old, server } of pairs) {
      const change = again(backend, old, server, someLeft && failing.has(server.name));
      if (change !== undefined) changes.push(change);
    }
  }
  return changes;
}

function isOpen({ maintenance, drained, failing }: RunningServer): boolean {
  return !maintenance && !drained && !failing;
}

function again(backend: string, old: RunningServer, server: RunningServer, down: boolean): ServerChange | undefined {
  const target = `${backend}/${server.name}`;
  const commands: RuntimeCommand[] = [];
  let after = server;
  let action: ServerChange['action'] = 'weight';
  // A weight of ours that changed meanwhile is newer than what was set by hand.
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
