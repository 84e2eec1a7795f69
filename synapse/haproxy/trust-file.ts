import type { OutputInstance, ServiceState, Snapshot } from '../output.ts';
import type { ParsedServer } from './spec/parse-config.ts';

/** The servers of a service in haproxy.cfg, by name; undefined when it has none. */
export type ServersInFile = (state: ServiceState) => ReadonlyMap<string, ParsedServer> | undefined;

/** States whose instances were corrected: the same object for the same state, so that nothing changes without a reason. */
const corrected = new WeakMap<ServiceState, ServiceState>();

/**
 * The snapshot with what haproxy.cfg knows better than the state file, because it is written sooner after a change. Until a source
 * answers, HAProxy keeps what it has. Where a source finds nothing, the last instances are those of the state file that
 * haproxy.cfg has too, drained where it drains them.
 */
export function trustFile(snapshot: Snapshot, serversOf: ServersInFile): Snapshot {
  const stale = [...snapshot.values()].filter((state) => state.fromStateFile !== undefined);
  if (stale.length === 0) return snapshot;
  const trusted = new Map(snapshot);
  for (const state of stale) {
    const servers = serversOf(state);
    if (servers === undefined || servers.size === 0) continue;
    trusted.set(
      state.name,
      state.fromStateFile === 'cache' ? { ...state, instances: undefined } : correct(state, servers),
    );
  }
  return trusted;
}

function correct(state: ServiceState, servers: ReadonlyMap<string, ParsedServer>): ServiceState {
  let known = corrected.get(state);
  if (known === undefined) {
    const instances = state.instances?.flatMap((instance) => asInFile(instance, servers.get(instance.id)));
    // A file with other servers says nothing about these.
    known = instances === undefined || instances.length === 0 ? state : { ...state, instances };
    corrected.set(state, known);
  }
  return known;
}

function asInFile(instance: OutputInstance, server: ParsedServer | undefined): readonly OutputInstance[] {
  if (server === undefined) return [];
  const isDrained = instance.state === 'up' && (server.disabled || server.weight === 0);
  return [isDrained ? { ...instance, state: 'drain' } : instance];
}
