import { clock } from '../../../common/async/clock.ts';
import type { Log } from '../../../common/daemon/log.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { Capabilities } from '../spec/capabilities.ts';
import { type DesiredService, desiredServers } from '../spec/desired-service.ts';
import type { BackendSpec, RunningServer } from '../spec/types.ts';
import type { RuntimeConnection } from './connection.ts';
import { parseSessions } from './parse.ts';
import { isNamedByUs } from './plan.ts';

/** Ends what has left: drains whose connections are gone, and servers that have been out of service for long. */
export interface Retiring {
  /** True when a drained server that was withdrawn has been seen without connections. */
  isIdle(desired: DesiredService, name: string): boolean;
  /** One look at everything that leaves, over the connection that reads: nothing may be deleted while another one does. */
  pass(connection: RuntimeConnection): Promise<void>;
  /** Another worker: nothing of what was seen counts any more. */
  forget(): void;
}

export interface RetiringDeps {
  readonly log: Log;
  readonly config: Pick<HaproxyConfig, 'delete_servers' | 'delete_servers_after'>;
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly running: ReadonlyMap<string, Map<string, RunningServer>>;
  /** HAProxy's numbers of backends: `show stat` takes a name for the frontend's that has the same. */
  readonly backendIds: ReadonlyMap<string, number>;
  readonly capabilities: () => Capabilities;
  readonly onIdle: (desired: DesiredService, name: string) => void;
  readonly onDeleted: (desired: DesiredService, name: string) => void;
}

/** How often servers are deleted at most; milliseconds. */
const sweepInterval = 10_000;
/** Commands wait behind a pass, so it is short. */
const mostDeletions = 50;
/** How long HAProxy may wait for a server's last idle connections; milliseconds. */
const removableTime = 5;

export function createRetiring(deps: RetiringDeps): Retiring {
  const { config, services, running } = deps;
  /** Server → the deadline of the drain during which it was seen without connections, and how often in a row. */
  const quiet = new Map<string, { readonly deadline: number; readonly count: number }>();
  /** Server → since when it has been out of service; infinity when HAProxy will not delete it. */
  const out = new Map<string, number>();
  let swept = 0;

  const keyOf = (backend: string, name: string): string => `${backend}/${name}`;

  /** Twice in a row, because a client may be between connecting and its first byte. */
  const isIdle = (desired: DesiredService, name: string): boolean => {
    const seen = quiet.get(keyOf(desired.active?.backend ?? '', name));
    return seen !== undefined && seen.count >= 2 && seen.deadline === desired.leaving.get(name);
  };

  const endDrains = async (connection: RuntimeConnection): Promise<void> => {
    const leaving: { desired: DesiredService; server: RunningServer; key: string; deadline: number; text: string }[] =
      [];
    for (const desired of services.values()) {
      const backend = desired.active?.backend;
      const backendId = backend && deps.backendIds.get(backend);
      if (backend === undefined || backendId === undefined) continue;
      for (const [name, deadline] of desired.leaving) {
        const server = running.get(backend)?.get(name);
        if (server === undefined || server.maintenance || !server.drained) continue;
        const text = `show stat ${backendId} 4 ${server.id}`;
        leaving.push({ desired, server, key: keyOf(backend, name), deadline, text });
      }
    }
    const replies = await connection.send(leaving.map(({ text }) => text));
    const before = new Map(quiet);
    quiet.clear();
    leaving.forEach(({ desired, server, key, deadline }, index) => {
      if (parseSessions(replies[index] ?? '', server.name) !== 0) return;
      const known = before.get(key);
      quiet.set(key, { deadline, count: known?.deadline === deadline ? known.count + 1 : 1 });
      if (isIdle(desired, server.name)) deps.onIdle(desired, server.name);
    });
  };

  const retired = (desired: DesiredService, structure: BackendSpec): readonly RunningServer[] => {
    const closed = [...(running.get(structure.backend)?.values() ?? [])].filter(
      (server) => server.maintenance && server.ours && isNamedByUs(server) && !structure.fixed.has(server.name),
    );
    if (closed.length === 0) return closed;
    const wanted = desiredServers(desired, structure);
    return closed.filter(({ name }) => wanted !== undefined && !wanted.has(name));
  };

  const sweep = async (connection: RuntimeConnection): Promise<void> => {
    const now = clock.now();
    const before = new Map(out);
    out.clear();
    const due: { desired: DesiredService; backend: string; server: RunningServer }[] = [];
    for (const desired of services.values()) {
      if (desired.active === undefined) continue;
      const { backend } = desired.active;
      for (const server of retired(desired, desired.active)) {
        const since = before.get(keyOf(backend, server.name)) ?? now;
        out.set(keyOf(backend, server.name), since);
        if (now - since >= config.delete_servers_after) due.push({ desired, backend, server });
      }
    }
    for (const { desired, backend, server } of due.slice(0, mostDeletions))
      await remove(connection, desired, backend, server);
  };

  const remove = async (
    connection: RuntimeConnection,
    desired: DesiredService,
    backend: string,
    server: RunningServer,
  ): Promise<void> => {
    const key = keyOf(backend, server.name);
    const servers = running.get(backend);
    const [state = ''] = await connection.send([`wait ${removableTime} srv-removable ${key}`]);
    // It may have come back meanwhile, and it may have connections still: then it waits for another pass.
    if (!state.includes('Done') || servers?.get(server.name) !== server) return;
    servers.delete(server.name);
    const [reply = ''] = await connection.send([`del server ${key}`]);
    out.delete(key);
    if (reply.includes('Server deleted')) {
      deps.onDeleted(desired, server.name);
      return;
    }
    deps.log.debug('HAProxy does not delete a server', { backend, server: server.name, reason: reply.trim() });
    if (!servers.has(server.name)) servers.set(server.name, server);
    out.set(key, Number.POSITIVE_INFINITY);
  };

  return {
    isIdle,
    async pass(connection) {
      await endDrains(connection);
      const { canDeleteServer, deleteServer } = deps.capabilities();
      if (!(config.delete_servers ?? deleteServer) || !canDeleteServer) return;
      if (clock.now() - swept < Math.min(sweepInterval, config.delete_servers_after)) return;
      await sweep(connection);
      swept = clock.now();
    },
    forget() {
      quiet.clear();
      out.clear();
    },
  };
}
