import { clock } from '../../../common/async/clock.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { Capabilities } from '../spec/capabilities.ts';
import { type DesiredService, desiredServers } from '../spec/desired-service.ts';
import type { BackendSpec, RunningServer } from '../spec/types.ts';
import type { RuntimeConnection } from './connection.ts';
import { isNamedByUs } from './plan.ts';
import type { Sessions } from './sessions.ts';

/** What the reaper reads, and what it reports to. */
export interface ServerReaperDeps {
  readonly log: Log;
  readonly config: Pick<HaproxyConfig, 'delete_servers' | 'delete_servers_after'>;
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly running: ReadonlyMap<string, Map<string, RunningServer>>;
  /** Backend → HAProxy's number for it. `show stat NAME` would find a frontend of the same name. */
  readonly backendIds: ReadonlyMap<string, number>;
  readonly capabilities: () => Capabilities;
  /** Sends these `show stat` commands to the same worker, over connections of their own. */
  readonly readSessions: (commands: readonly string[], signal: AbortSignal) => Promise<Sessions>;
  /** Called when a drained server that was withdrawn has no connections left. */
  readonly onIdle: (desired: DesiredService, name: string) => void;
  /** Called when a server has been deleted from HAProxy. */
  readonly onDeleted: (desired: DesiredService, name: string) => void;
}

/** The shortest time between two rounds of deleting. */
const sweepIntervalMs = 10_000;
/** Commands wait while servers are being deleted, so one round is short. */
const maxDeletions = 50;
/** How long HAProxy may wait for a server's last idle connections. */
const removableTimeoutMs = 5;
/** A client may be between connecting and its first byte, so a server is idle after this many readings in a row. */
const idleReadings = 2;

interface DrainingServer {
  readonly desired: DesiredService;
  readonly server: RunningServer;
  readonly key: string;
  readonly deadline: number;
  readonly command: string;
}

interface UnusedServer {
  readonly desired: DesiredService;
  readonly backend: string;
  readonly server: RunningServer;
}

/** Ends drains whose connections are gone, and deletes servers that have been out of service for long. */
export class ServerReaper {
  readonly #deps: ServerReaperDeps;
  /** `backend/server` → the deadline of its drain, and how many readings in a row found no connections. */
  readonly #idle = new Map<string, { readonly deadline: number; readonly readings: number }>();
  /** `backend/server` → since when it has been out of service (`clock.now()`); Infinity when HAProxy refuses to delete it. */
  readonly #unusedSince = new Map<string, number>();
  #sweptAt = 0;

  constructor(deps: ServerReaperDeps) {
    this.#deps = deps;
  }

  /** True when a drained server that was withdrawn has no connections left. */
  isIdle(desired: DesiredService, name: string): boolean {
    const idle = this.#idle.get(keyOf(desired.active?.backend ?? '', name));
    return idle !== undefined && idle.readings >= idleReadings && idle.deadline === desired.leaving.get(name);
  }

  /**
   * Checks each leaving server once, and then deletes servers over `connection`. The one is over before the other begins:
   * HAProxy may crash when a server is deleted while another connection is being sent a list of servers.
   */
  async run(connection: RuntimeConnection, signal: AbortSignal): Promise<void> {
    if (!(await this.#endDrains(signal))) return;
    const { config, capabilities } = this.#deps;
    const { canDeleteServer, deleteServer } = capabilities();
    if (!(config.delete_servers ?? deleteServer) || !canDeleteServer) return;
    if (clock.now() - this.#sweptAt < Math.min(sweepIntervalMs, config.delete_servers_after)) return;
    await this.#sweep(connection);
    this.#sweptAt = clock.now();
  }

  /** Forgets all readings: another worker has taken over. */
  forget(): void {
    this.#idle.clear();
    this.#unusedSince.clear();
  }

  /** @returns false when the servers could not be read */
  async #endDrains(signal: AbortSignal): Promise<boolean> {
    const draining = [...this.#draining()];
    if (draining.length === 0) {
      this.#idle.clear();
      return true;
    }
    let sessions: Sessions;
    try {
      sessions = await this.#deps.readSessions(
        draining.map(({ command }) => command),
        signal,
      );
    } catch (error) {
      this.#deps.log.debug('the connections of drained servers could not be read', { reason: reasonOf(error) });
      return false;
    }
    const before = new Map(this.#idle);
    this.#idle.clear();
    for (const { desired, server, key, deadline } of draining) {
      if (sessions.get(key) !== 0) continue;
      const last = before.get(key);
      this.#idle.set(key, { deadline, readings: last?.deadline === deadline ? last.readings + 1 : 1 });
      if (this.isIdle(desired, server.name)) this.#deps.onIdle(desired, server.name);
    }
    return true;
  }

  *#draining(): Iterable<DrainingServer> {
    const { services, running, backendIds } = this.#deps;
    for (const desired of services.values()) {
      const backend = desired.active?.backend;
      const backendId = backend && backendIds.get(backend);
      if (backend === undefined || backendId === undefined) continue;
      for (const [name, deadline] of desired.leaving) {
        const server = running.get(backend)?.get(name);
        if (server === undefined || server.maintenance || !server.drained) continue;
        const command = `show stat ${backendId} 4 ${server.id}`;
        yield { desired, server, key: keyOf(backend, name), deadline, command };
      }
    }
  }

  async #sweep(connection: RuntimeConnection): Promise<void> {
    const now = clock.now();
    const before = new Map(this.#unusedSince);
    this.#unusedSince.clear();
    const due: UnusedServer[] = [];
    for (const desired of this.#deps.services.values()) {
      if (desired.active === undefined) continue;
      const { backend } = desired.active;
      for (const server of this.#unusedServers(desired, desired.active)) {
        const key = keyOf(backend, server.name);
        const since = before.get(key) ?? now;
        this.#unusedSince.set(key, since);
        if (now - since >= this.#deps.config.delete_servers_after) due.push({ desired, backend, server });
      }
    }
    for (const unused of due.slice(0, maxDeletions)) await this.#delete(connection, unused);
  }

  /** Servers that we put into maintenance because they are not wanted. */
  #unusedServers(desired: DesiredService, spec: BackendSpec): readonly RunningServer[] {
    const closed = [...(this.#deps.running.get(spec.backend)?.values() ?? [])].filter(
      (server) => server.maintenance && server.ours && isNamedByUs(server) && !spec.fixed.has(server.name),
    );
    if (closed.length === 0) return closed;
    const wanted = desiredServers(desired, spec);
    return closed.filter(({ name }) => wanted !== undefined && !wanted.has(name));
  }

  async #delete(connection: RuntimeConnection, { desired, backend, server }: UnusedServer): Promise<void> {
    const key = keyOf(backend, server.name);
    const servers = this.#deps.running.get(backend);
    const [state = ''] = await connection.send([`wait ${removableTimeoutMs} srv-removable ${key}`]);
    // The server may be wanted again by now, or still have connections: then it waits for the next round.
    if (!state.includes('Done') || servers?.get(server.name) !== server) return;
    servers.delete(server.name);
    const [reply = ''] = await connection.send([`del server ${key}`]);
    this.#unusedSince.delete(key);
    if (reply.includes('Server deleted')) {
      this.#deps.onDeleted(desired, server.name);
      return;
    }
    this.#deps.log.debug('HAProxy refuses to delete a server', { backend, server: server.name, reason: reply.trim() });
    if (!servers.has(server.name)) servers.set(server.name, server);
    this.#unusedSince.set(key, Number.POSITIVE_INFINITY);
  }
}

function keyOf(backend: string, name: string): string {
  return `${backend}/${name}`;
}
