import { sameAddress } from './address.ts';
import type { DesiredService } from './desired.ts';
import type { RunningServer } from './model.ts';
import { type RuntimeCommand, type ServerChange, setState } from './plan.ts';

type Running = ReadonlyMap<string, ReadonlyMap<string, RunningServer>>;

/**
 * What somebody set by hand in the worker before, for its successor: the file does not have it, so a reload would undo
 * it. Only for servers that are still the same. Pure.
 */
export function overlayOf(services: Iterable<DesiredService>, before: Running, now: Running): readonly ServerChange[] {
  const changes: ServerChange[] = [];
  for (const { active } of services) {
    if (active === undefined) continue;
    for (const old of before.get(active.backend)?.values() ?? []) {
      const server = now.get(active.backend)?.get(old.name);
      if (server === undefined || active.fixed.has(old.name) || !sameAddress(old.address, server.address)) continue;
      const change = again(active.backend, old, server);
      if (change !== undefined) changes.push(change);
    }
  }
  return changes;
}

function again(backend: string, old: RunningServer, server: RunningServer): ServerChange | undefined {
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
  }
  return commands.length === 0 ? undefined : { backend, name: server.name, action, commands, after };
}
