import { linkAbort } from '../../../common/async/abort.ts';
import { clock } from '../../../common/async/clock.ts';
import { sleep, WakeableSleep } from '../../../common/async/sleep.ts';
import { supervise } from '../../../common/async/supervise.ts';
import type { Host } from '../../../common/host.ts';
import { generationVariable } from '../spec/build-backend.ts';
import type { DesiredServer, DesiredService } from '../spec/desired-service.ts';
import type { ReloadReason } from '../spec/reload-reason.ts';
import type { StuckServer } from './attempts.ts';
import { CommandLog } from './command-log.ts';
import { connectRuntime, type RuntimeConnection, RuntimeUnavailable } from './connection.ts';
import type { HeldServer } from './draft.ts';
import type { ChangeResult } from './execute.ts';
import { parseEnv, parseInfo, type WorkerInfo } from './parse.ts';
import {
  connectionOf,
  nextState,
  notConnected,
  type ProcessEvent,
  type ProcessState,
  reasonOfState,
} from './process-state.ts';
import { readServers, type ServerAt, type ServersReading } from './read-servers.ts';
import type { RunningServers, WorkerRelation } from './server-state.ts';
import { ServerSync, type ServerSyncDeps, type WorkerReading } from './server-sync.ts';
import { readSessions } from './sessions.ts';
import { isSameWorker, noWorkers, oldWorkersWithin, relationOf, type WorkerHistory, withWorker } from './worker.ts';

/** What a HAProxy process is kept equal to, and what is told about it. */
export interface HaproxyProcessDeps
  extends Pick<ServerSyncDeps, 'log' | 'services' | 'config' | 'file' | 'foundFile' | 'onDeleted'> {
  readonly host: Pick<Host, 'connectUnix'>;
  /** Called when what runs has been read, before anything is planned. */
  readonly onRead: (haproxy: HaproxyProcess) => void;
  /** Called after a connection was opened, when HAProxy has answered all that could be done at run time. */
  readonly onSync: (haproxy: HaproxyProcess, commands: number) => void;
  /** Called when something has changed that the status or a reload depends on. */
  readonly onChange: () => void;
}

/** How long a reply may take until the connection counts as dead. */
const replyTimeoutMs = 3_000;
/** How often we make sure that the connection leads to the worker in charge. */
const checkIntervalMs = 1_000;
/** The pause before connecting again when the socket still leads to an old worker. */
const oldWorkerPauseMs = 20;
/** The pause before reading again what could not be read. */
const refreshPauseMs = 20;
/** The time between two readings of everything: grows by 1 ms per server, because HAProxy needs time for each. */
const readIntervalMs = { min: 5_000, max: 60_000 };

/**
 * One HAProxy process behind one runtime API socket: connects, reads what runs, keeps the servers equal to what is desired
 * ({@link ServerSync}), and notices when another worker takes over.
 */
export class HaproxyProcess {
  readonly path: string;
  readonly commandLog: CommandLog;
  readonly #deps: HaproxyProcessDeps;
  readonly #servers: ServerSync;
  /** Until the next check that the worker is still in charge. */
  readonly #nextCheck = new WakeableSleep();
  #state: ProcessState = notConnected;
  #workers: WorkerHistory = noWorkers;

  constructor(path: string, deps: HaproxyProcessDeps) {
    const log = deps.log.child({ socket: path });
    this.path = path;
    this.commandLog = new CommandLog(path);
    this.#deps = { ...deps, log };
    this.#servers = new ServerSync({
      ...deps,
      log,
      commandLog: this.commandLog,
      connection: () => (this.inSync ? connectionOf(this.#state) : undefined),
      readSessions: (commands, signal) => {
        const { connectUnix } = deps.host;
        const isInCharge = (info: WorkerInfo) => this.worker !== undefined && isSameWorker(this.worker, info);
        return readSessions(path, commands, { connectUnix, replyTimeoutMs, isInCharge }, signal);
      },
      onUnexpected: () => deps.onRead(this),
      onStopping: () => this.#nextCheck.wake(),
    });
  }

  /** True while connected, after everything was read: commands are being sent. */
  get inSync(): boolean {
    return this.#state.name === 'in sync';
  }

  /** Why the last connection failed; null while there is nothing to say. */
  get reason(): string | null {
    return reasonOfState(this.#state);
  }

  /** The worker that was last read; undefined before the first one. */
  get worker(): WorkerInfo | undefined {
    return this.#workers.current;
  }

  /** Grows by one with every new worker. */
  get workersSeen(): number {
    return this.#workers.seen;
  }

  /** The configuration that the worker says it has loaded. */
  get generation(): string | undefined {
    return this.#servers.generation;
  }

  /** Backend → its servers as they run, by name. */
  get running(): RunningServers {
    return this.#servers.running;
  }

  /** Servers that an operator changed, and that stay as they are. */
  get held(): readonly HeldServer[] {
    return this.#servers.held;
  }

  /** Servers that HAProxy does not change as it should, and that a reload did not change either. */
  get stuck(): readonly StuckServer[] {
    return this.#servers.stuck;
  }

  /** Service → why it needs a reload. */
  get reloadReasons(): ReadonlyMap<string, readonly ReloadReason[]> {
    return this.#servers.reloadReasons;
  }

  /** Connects, again and again, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const options = {
      what: `HAProxy's runtime API at ${this.path}`,
      log: this.#deps.log,
      backoff: { baseMs: 50, maxMs: 1_000 },
      // Longer than a hung HAProxy takes to fail: connecting and reading each wait for a reply.
      healthyAfterMs: 2 * replyTimeoutMs + 1_000,
      onReason: (reason: string | null) => {
        if (reason !== null) this.#move({ type: 'failed', reason });
      },
    };
    const sessions = async (): Promise<void> => {
      while (!signal.aborted) await this.#session(signal);
    };
    await supervise(sessions, options, signal);
  }

  /** See {@link ServerSync.change}. Does nothing while not in sync. */
  change(desired: DesiredService, wanted: Iterable<DesiredServer>): Promise<ChangeResult> {
    return this.#servers.change(desired, wanted);
  }

  /** Plans services (all by default) again from what was last read. Does nothing while not in sync. */
  replan(services?: Iterable<DesiredService>): Promise<ChangeResult> {
    return this.#servers.replan(services);
  }

  /**
   * Reads everything again and sends what is missing; on the next connection if this one breaks. Resolves to null, or to
   * the reason why it could not be read within `withinMs`. Does nothing while not in sync. Never rejects.
   */
  async refresh({ withinMs }: { readonly withinMs: number }, signal: AbortSignal): Promise<string | null> {
    if (!this.inSync) return null;
    const deadline = clock.now() + withinMs;
    for (;;) {
      const reason = this.inSync ? await this.#servers.readAll() : (this.reason ?? 'not connected');
      if (reason === null || clock.now() >= deadline || signal.aborted) return reason;
      await sleep(refreshPauseMs, signal);
    }
  }

  /**
   * Reads these servers from the worker in charge, now. What differs from what is desired is mended soon.
   * @throws when they cannot be read, or another worker takes over meanwhile
   */
  async readServers(servers: readonly ServerAt[], signal: AbortSignal): Promise<ServersReading> {
    const { worker, path } = this;
    const connection = this.inSync ? connectionOf(this.#state) : undefined;
    if (connection === undefined || worker === undefined) throw new Error(this.reason ?? 'not connected');
    const { connectUnix } = this.#deps.host;
    const reading = await readServers(connection, servers, { path, worker, connectUnix, replyTimeoutMs }, signal);
    if (!this.inSync || connection !== connectionOf(this.#state)) throw new Error('the connection ended');
    this.#servers.compare(reading.servers.values());
    return reading;
  }

  /** How many workers finish their connections, at most, where only their times say so: see {@link oldWorkersWithin}. */
  oldWorkersWithin(longestMs: number): number {
    return oldWorkersWithin(this.#workers, longestMs, clock.now());
  }

  /** Closes the connection, because it may lead to an old worker, and opens a new one. */
  release(): void {
    const connection = connectionOf(this.#state);
    this.#move({ type: 'released' });
    connection?.close();
  }

  /** One connection from opening to its end. Returns when the next one is to follow at once; throws when it failed. */
  async #session(signal: AbortSignal): Promise<void> {
    const scope = linkAbort(signal);
    try {
      const { connectUnix } = this.#deps.host;
      const connection = await connectRuntime(this.path, { connectUnix, replyTimeoutMs }, scope.signal);
      this.#move({ type: 'connected', connection });
      const { worker, reading } = await this.#read(connection);
      const relation = relationOf(this.#workers, worker);
      if (worker.stopping || relation === 'replaced') {
        await sleep(oldWorkerPauseMs, signal);
        return;
      }
      this.#begin(worker, relation, reading);
      // HAProxy may still carry out commands that the last connection left unread in its socket: read again soon.
      this.#servers.scheduleReadAll(checkIntervalMs);
      await this.#watch(connection, scope.signal);
    } catch (error) {
      if (this.#state.name === 'released') return;
      // The log and the status name the socket beside the reason.
      throw error instanceof RuntimeUnavailable ? new Error(error.reason) : error;
    } finally {
      this.#servers.end();
      scope.abort();
      scope.release();
      this.#move({ type: 'closed' });
    }
  }

  async #read(
    connection: RuntimeConnection,
  ): Promise<{ readonly worker: WorkerInfo; readonly reading: WorkerReading }> {
    const [info = '', env = '', servers = ''] = await connection.send([
      'show info',
      `show env ${generationVariable}`,
      'show servers state',
    ]);
    const worker = parseInfo(info);
    const generation = parseEnv(env, generationVariable);
    return { worker, reading: { version: worker.version, generation, servers } };
  }

  /** Synchronous up to the plans: otherwise plans for the worker before might be the reason for a reload. */
  #begin(worker: WorkerInfo, relation: WorkerRelation, reading: WorkerReading): void {
    const before = this.#servers.begin(reading, relation);
    this.#workers = withWorker(this.#workers, worker, clock.now());
    this.#move({ type: 'read' });
    if (relation === 'new') this.#servers.carryOver(before);
    this.#deps.onRead(this);
    this.#deps.log.info('HAProxy is connected', { ...worker, generation: reading.generation ?? null });
    void this.#servers.replan().then(({ commands }) => this.#deps.onSync(this, commands));
  }

  /** Checks every second that the worker is still in charge, and reads everything from time to time. */
  async #watch(connection: RuntimeConnection, signal: AbortSignal): Promise<void> {
    let readAt = clock.now();
    for (;;) {
      await connection.pause(checkIntervalMs, this.#nextCheck);
      // Rejects with the reason when the connection has ended.
      const [info = ''] = await connection.send(['show info']);
      const worker = parseInfo(info);
      if (worker.stopping || this.worker === undefined || !isSameWorker(this.worker, worker)) {
        this.#deps.log.info('another HAProxy worker has taken over', { pid: worker.pid });
        connection.close();
        return;
      }
      this.#workers = withWorker(this.#workers, worker, clock.now());
      await this.#servers.reap(connection, signal);
      if (clock.now() - readAt > Math.min(readIntervalMs.min + this.#servers.count(), readIntervalMs.max)) {
        readAt = clock.now();
        await this.#servers.readAll();
      }
    }
  }

  #move(event: ProcessEvent): void {
    this.#state = nextState(this.#state, event);
    this.#deps.onChange();
  }
}
