import type { Log } from '../../../common/daemon/log.ts';
import { type Capabilities, capabilitiesOf } from '../spec/capabilities.ts';
import type { DesiredServer, DesiredService } from '../spec/desired-service.ts';
import type { ParsedConfig } from '../spec/parse-config.ts';
import type { ReloadReason } from '../spec/reload-reason.ts';
import type { StuckServer } from './attempts.ts';
import { DirtyBackends } from './bookkeeping.ts';
import { carryOver } from './carry-over.ts';
import type { CommandLog } from './command-log.ts';
import type { RuntimeConnection } from './connection.ts';
import type { HeldServer, ServerChange } from './draft.ts';
import { type ChangeResult, Executor, nothingSent } from './execute.ts';
import { parseServersState } from './parse.ts';
import { Planner } from './planner.ts';
import { ReadBack } from './read-back.ts';
import type { ServerReading } from './read-servers.ts';
import { ServerReaper, type ServerReaperDeps } from './server-reaper.ts';
import { type RunningServers, ServerState, type WorkerRelation } from './server-state.ts';

/** What the servers are kept equal to, and what is told about them. */
export interface ServerSyncDeps {
  readonly log: Log;
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly config: ServerReaperDeps['config'];
  /** The present haproxy.cfg. A worker that names the file's generation has loaded it. */
  readonly file: () => ParsedConfig;
  /** The file that synapse found at its start, until every HAProxy has been read. */
  readonly foundFile: () => ParsedConfig;
  readonly commandLog: CommandLog;
  /** The connection to the worker whose state is known; undefined while there is none: nothing is sent then. */
  readonly connection: () => RuntimeConnection | undefined;
  /** Called when something unexpected has been read, before anything is planned. */
  readonly onUnexpected: () => void;
  readonly readSessions: ServerReaperDeps['readSessions'];
  readonly onDeleted: ServerReaperDeps['onDeleted'];
  /** Called when a reply says that the worker may be stopping. */
  readonly onStopping: () => void;
  /** Called when the reasons for a reload differ from before. */
  readonly onChange: () => void;
}

/** When to read a worker that refuses changes as if it were stopping, and then is not. */
const stoppingReadDelayMs = 2_000;

/** What a worker says when it is read for the first time on a connection. */
export interface WorkerReading {
  readonly version: string;
  readonly generation: string | undefined;
  /** The reply of `show servers state`. */
  readonly servers: string;
}

/** Keeps the servers of one HAProxy process equal to what is desired: plans, sends, and reads back what came of it. */
export class ServerSync {
  readonly #deps: ServerSyncDeps;
  readonly #state: ServerState;
  readonly #planner: Planner;
  readonly #executor: Executor;
  readonly #readBack: ReadBack;
  readonly #reaper: ServerReaper;
  readonly #dirty = new DirtyBackends();
  #capabilities: Capabilities = capabilitiesOf('');
  #generation: string | undefined;

  constructor(deps: ServerSyncDeps) {
    const { log, services, config, commandLog, connection } = deps;
    this.#deps = deps;
    this.#state = new ServerState(deps.file, deps.foundFile);
    const { running, backendIds } = this.#state;
    const capabilities = () => this.#capabilities;
    this.#planner = new Planner({
      log,
      running,
      capabilities,
      isIdle: (desired, name) => this.#reaper.isIdle(desired, name),
      onChange: deps.onChange,
    });
    const shared = { log, state: this.#state, dirty: this.#dirty };
    this.#executor = new Executor({
      ...shared,
      commandLog,
      onRefused: (change, message, final) => this.#planner.refused(change, message, final),
      onSent: () => this.#readBack.schedule(),
      onFailed: (result) => {
        if (result !== 'stopping') this.#readBack.scheduleNow({ unexpected: result === 'unexpected' });
        else {
          // If the worker is stopping, its connection ends before this reading.
          this.#readBack.scheduleAll(stoppingReadDelayMs);
          deps.onStopping();
        }
      },
    });
    this.#readBack = new ReadBack({
      ...shared,
      services,
      connection,
      generation: () => this.#generation,
      onUnexpected: deps.onUnexpected,
      plan: (desired) => this.#planner.planService(desired, { isRead: true }),
      execute: (changes) => void this.#execute(changes),
    });
    this.#reaper = new ServerReaper({
      log,
      config,
      services,
      running,
      backendIds,
      capabilities,
      readSessions: deps.readSessions,
      onIdle: (desired, name) => void this.change(desired, [{ name, server: undefined }]),
      onDeleted: deps.onDeleted,
    });
  }

  /** The configuration that the worker says it has loaded. */
  get generation(): string | undefined {
    return this.#generation;
  }

  get running(): RunningServers {
    return this.#state.running;
  }

  /** Servers that an operator changed, and that stay as they are. */
  get held(): readonly HeldServer[] {
    return this.#planner.held;
  }

  /** Servers that HAProxy does not change as it should, and that a reload did not change either. */
  get stuck(): readonly StuckServer[] {
    return this.#planner.stuck;
  }

  /** Service → why it needs a reload. */
  get reloadReasons(): ReadonlyMap<string, readonly ReloadReason[]> {
    return this.#planner.reloadReasons;
  }

  /** Takes what a worker says as what runs. Returns the servers that were known before. Sends nothing. */
  begin({ version, generation, servers }: WorkerReading, relation: WorkerRelation): RunningServers {
    const rows = parseServersState(servers);
    this.#generation = generation;
    this.#capabilities = capabilitiesOf(version);
    if (relation !== 'same' && !this.#capabilities.addServer) {
      this.#deps.log.warn('this HAProxy is older than 2.6: each new server takes a reload', { version });
    }
    if (relation === 'new') {
      this.#reaper.forget();
      this.#planner.nextWorker();
    }
    this.#dirty.clear();
    return this.#state.replace(rows, relation, generation);
  }

  /** Tells a new worker what an operator had told the worker before it, and which servers had failed their checks there. */
  carryOver(before: RunningServers): void {
    const changes = carryOver(this.#deps.services.values(), before, this.running);
    if (changes.length === 0) return;
    this.#deps.log.info('the new worker is told what was set by hand and which checks had failed', {
      servers: changes.length,
    });
    void this.#execute(changes);
  }

  /**
   * Brings servers of one service to what is wanted. The commands are on their way when this returns. Resolves with their
   * result when HAProxy has answered, and never rejects. Does nothing without a connection: reading comes first then.
   */
  change(desired: DesiredService, wanted: Iterable<DesiredServer>): Promise<ChangeResult> {
    if (this.#deps.connection() === undefined) return Promise.resolve(nothingSent);
    return this.#execute(this.#planner.planServers(desired, wanted));
  }

  /** Plans services again from what was last read. Carries the plan out as {@link ServerSync.change} does. */
  replan(services: Iterable<DesiredService> = this.#deps.services.values()): Promise<ChangeResult> {
    if (this.#deps.connection() === undefined) return Promise.resolve(nothingSent);
    this.#planner.keepOnly(this.#deps.services);
    return this.#execute([...services].flatMap((desired) => this.#planner.planService(desired)));
  }

  /** Reads everything now and sends what is missing. Resolves to null, or to the reason why it could not be read. */
  readAll(): Promise<string | null> {
    return this.#readBack.readAll();
  }

  /** Takes what was just read of some servers: where they are not as they were known to be, their backends are read now. */
  compare(readings: Iterable<ServerReading>): void {
    let differs = false;
    for (const { row } of readings) {
      const known = this.#state.running.get(row.backend)?.get(row.name);
      if (known?.maintenance === row.maintenance && known.drained === row.drained) continue;
      this.#dirty.mark(row.backend);
      differs = true;
    }
    if (differs) this.#readBack.scheduleNow({ unexpected: false });
  }

  /** Reads everything after a delay and sends what is missing. */
  scheduleReadAll(delayMs: number): void {
    this.#readBack.scheduleAll(delayMs);
  }

  /** Ends drains whose connections are gone, and deletes servers that have been out of service for long. */
  reap(connection: RuntimeConnection, signal: AbortSignal): Promise<void> {
    return this.#reaper.run(connection, signal);
  }

  /** The connection is over: nothing is read until the next {@link ServerSync.begin}. */
  end(): void {
    this.#readBack.stop();
  }

  /** How many servers run. */
  count(): number {
    return this.#state.count();
  }

  #execute(changes: readonly ServerChange[]): Promise<ChangeResult> {
    const connection = this.#deps.connection();
    return connection === undefined ? Promise.resolve(nothingSent) : this.#executor.send(connection, changes);
  }
}
