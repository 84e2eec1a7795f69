import { clock } from '../../../common/async/clock.ts';
import { sleep, supervise } from '../../../common/async/supervise.ts';
import type { Log } from '../../../common/daemon/log.ts';
import type { Host } from '../../../common/host.ts';
import { generationVariable } from '../spec/build-backend.ts';
import { type Capabilities, capabilitiesOf } from '../spec/capabilities.ts';
import { type DesiredServer, type DesiredService, desiredServers } from '../spec/desired-service.ts';
import type { ParsedConfig } from '../spec/parse-config.ts';
import type { ReloadReason } from '../spec/reload-reason.ts';
import type { Server } from '../spec/types.ts';
import { createAttempts, createOutstanding, createTouches, type Outstanding } from './bookkeeping.ts';
import { overlayOf } from './carry-over.ts';
import { CommandLog } from './command-log.ts';
import { connectRuntime, type RuntimeConnection, RuntimeUnavailable } from './connection.ts';
import { type ChangeResult, createExecution, type Execute, nothing } from './execute.ts';
import { type ProcessInfo, parseEnv, parseInfo, parseServersState } from './parse.ts';
import {
  emptyPlan,
  type HeldServer,
  type Plan,
  type PlanContext,
  planBackend,
  planServers,
  type ServerChange,
} from './plan.ts';
import { type Audit, createAudit } from './read-back.ts';
import { ServerReaper, type ServerReaperDeps } from './server-reaper.ts';
import { createPicture, type Picture, type RunningServers } from './server-state.ts';

export interface HaproxyProcessDeps {
  readonly log: Log;
  readonly host: Pick<Host, 'connectUnix'>;
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly config: ServerReaperDeps['config'];
  /** The file that a worker found now has loaded, if it names the same generation. */
  readonly file: () => ParsedConfig;
  /** Called when what runs was read, before anything is planned. */
  readonly onRead: (haproxy: HaproxyProcess) => void;
  /** Called when a server is not in this HAProxy any more. */
  readonly onDeleted: ServerReaperDeps['onDeleted'];
  /** Called when everything that can be done at run time was done after reading. */
  readonly onSync: (haproxy: HaproxyProcess, commands: number) => void;
  /** Called when something that status or reloads depend on changed. */
  readonly onChange: () => void;
}

/** How long a reply may take until the connection counts as dead. */
const replyTimeoutMs = 3_000;
/** How often we make sure that we talk to the worker in charge; milliseconds. */
const tickInterval = 1_000;
/** How often everything is read again without a cause, at most and at least; milliseconds. */
const auditIntervals = { shortest: 5_000, longest: 60_000 };

/** One HAProxy process behind one runtime API socket: keeps what runs there equal to what is desired. */
export class HaproxyProcess {
  readonly path: string;
  readonly commandLog: CommandLog;
  #worker: ProcessInfo | undefined;
  #generation: string | undefined;
  #reason: string | null = null;
  #workersSeen = 0;
  readonly #deps: HaproxyProcessDeps;
  readonly #log: Log;
  readonly #picture: Picture;
  readonly #carryOut: Execute;
  #connection: RuntimeConnection | undefined;
  #synced = false;
  #released = false;
  #capabilities: Capabilities = capabilitiesOf('');
  readonly #touches = createTouches();
  readonly #attempts = createAttempts();
  readonly #outstanding: Outstanding;
  readonly #audit: Audit;
  readonly #reaper: ServerReaper;
  #lastUptime = 0;

  constructor(path: string, deps: HaproxyProcessDeps) {
    this.path = path;
    this.commandLog = new CommandLog(path);
    this.#deps = deps;
    this.#log = deps.log.child({ socket: path });
    this.#outstanding = createOutstanding(this.#log, deps.onChange);
    this.#picture = createPicture(deps.file);
    this.#carryOut = createExecution({
      log: this.#log,
      picture: this.#picture,
      commandLog: this.commandLog,
      touches: this.#touches,
      attempts: this.#attempts,
      onSent: () => this.#audit.schedule(),
      onFailed: (result) => {
        if (result === 'surprise') this.#audit.surprised();
        this.#audit.schedule(1);
      },
    });
    this.#audit = createAudit({
      log: this.#log,
      services: deps.services,
      picture: this.#picture,
      touches: this.#touches,
      attempts: this.#attempts,
      connection: () => (this.#synced ? this.#connection : undefined),
      generation: () => this.#generation,
      onRead: () => deps.onRead(this),
      plan: (desired) => this.#planAll(desired),
      giveUp: ({ service }, reload) => this.#outstanding.note(service, { reload, held: [] }, 'add'),
      execute: (changes) => void this.#execute(changes),
    });
    this.#reaper = new ServerReaper({
      log: this.#log,
      config: deps.config,
      services: deps.services,
      running: this.#picture.running,
      backendIds: this.#picture.backendIds,
      capabilities: () => this.#capabilities,
      onIdle: (desired, name) => void this.change(desired, [{ name, server: undefined }]),
      onDeleted: (desired, name) => deps.onDeleted(desired, name),
    });
  }

  /** True while connected, after everything was read: commands are being sent. */
  get inSync(): boolean {
    return this.#synced;
  }

  /** The worker that was last read; undefined before the first one. */
  get worker(): ProcessInfo | undefined {
    return this.#worker;
  }

  /** The configuration that this worker says it has loaded. */
  get generation(): string | undefined {
    return this.#generation;
  }

  /** Why the last connection failed; null while there is nothing to say. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Grows by one with every new worker. */
  get workersSeen(): number {
    return this.#workersSeen;
  }

  get running(): RunningServers {
    return this.#picture.running;
  }

  /** Servers that an operator changed, and that stay as they are. */
  get held(): readonly HeldServer[] {
    return this.#outstanding.held;
  }

  /** Service → why it needs a reload. */
  get reloadReasons(): ReadonlyMap<string, readonly ReloadReason[]> {
    return this.#outstanding.reasons;
  }

  /** Connects, again and again, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const options = {
      what: `HAProxy's runtime API at ${this.path}`,
      log: this.#log,
      backoff: { min: 50, max: 1_000 },
      healthyAfter: 1_000,
      onState: (reason: string | null) => {
        this.#reason = reason;
        this.#deps.onChange();
      },
    };
    await supervise(
      async () => {
        while (!signal.aborted) await this.#session(signal);
      },
      options,
      signal,
    );
  }

  /**
   * Brings servers of one service to what is wanted. The commands are on their way when this returns. Resolves with their
   * result when HAProxy has answered, and never rejects. Does nothing while not in sync: reading comes first then.
   */
  change(desired: DesiredService, wanted: Iterable<DesiredServer>): Promise<ChangeResult> {
    const structure = desired.active;
    if (!this.#synced || structure === undefined) return Promise.resolve(nothing);
    const plan = planServers(structure, this.running.get(structure.backend), wanted, this.#context(desired));
    this.#outstanding.note(desired.service, plan, 'add');
    return this.#execute(plan.changes);
  }

  /** Plans services again from what was last read; carries the plan out as {@link HaproxyProcess.change} does. */
  replan(services: Iterable<DesiredService> = this.#deps.services.values()): Promise<ChangeResult> {
    if (!this.#synced) return Promise.resolve(nothing);
    const changes: ServerChange[] = [];
    this.#outstanding.keepOnly(this.#deps.services);
    for (const desired of services) changes.push(...this.#planAll(desired).changes);
    return this.#execute(changes);
  }

  /** Reads everything again and puts it right. Never rejects. */
  refresh(): Promise<void> {
    return this.#audit.readAll();
  }

  /** Closes the connection, which may lead to an old worker, and opens a new one. */
  release(): void {
    this.#released = true;
    this.#connection?.close();
  }

  /** One connection from opening to its end. Returns when another one is to be opened at once; throws when it failed. */
  async #session(signal: AbortSignal): Promise<void> {
    this.#released = false;
    const ended = new AbortController();
    const scope = AbortSignal.any([signal, ended.signal]);
    try {
      const connection = await connectRuntime(
        this.path,
        { connectUnix: this.#deps.host.connectUnix, replyTimeoutMs },
        scope,
      );
      this.#connection = connection;
      if (!(await this.#load(connection))) return void (await sleep(20, signal));
      this.#log.info('HAProxy connected', { ...this.#worker, generation: this.#generation ?? null });
      this.#reason = null;
      this.#deps.onChange();
      void this.replan().then(({ commands }) => this.#deps.onSync(this, commands));
      // What the last connection left unread in its socket may still be carried out: look again.
      this.#audit.scheduleAll(tickInterval);
      await this.#watch(connection);
    } catch (error) {
      if (this.#released) return;
      // Who hears of it knows which socket it is about.
      throw error instanceof RuntimeUnavailable ? new Error(error.reason) : error;
    } finally {
      this.#synced = false;
      this.#connection = undefined;
      this.#audit.stop();
      ended.abort();
      this.#deps.onChange();
    }
  }

  /** Reads what runs. False when this worker is on its way out. */
  async #load(connection: RuntimeConnection): Promise<boolean> {
    const [info = '', env = '', state = ''] = await connection.send([
      'show info',
      `show env ${generationVariable}`,
      'show servers state',
    ]);
    const process = parseInfo(info);
    if (process.stopping) return false;
    const generation = parseEnv(env, generationVariable);
    const worker = this.#worker === undefined ? 'adopted' : this.#isSameWorker(process) ? 'same' : 'new';
    if (worker !== 'same') this.#workersSeen += 1;
    this.#worker = process;
    this.#generation = generation;
    this.#lastUptime = process.uptime;
    this.#capabilities = capabilitiesOf(process.version);
    if (worker !== 'same' && !this.#capabilities.addServer) {
      this.#log.warn('this HAProxy cannot add servers: each new one takes a reload, from 2.6 on none', {
        version: process.version,
      });
    }
    const before = this.#picture.replace(parseServersState(state), worker, generation);
    this.#attempts.forget();
    this.#touches.forget();
    this.#synced = true;
    if (worker === 'new') {
      this.#reaper.forget();
      const overlay = overlayOf(this.#deps.services.values(), before, this.running);
      if (overlay.length > 0) {
        this.#log.info('what the worker before had by hand or by its checks is set again', { servers: overlay.length });
        void this.#execute(overlay);
      }
    }
    this.#deps.onRead(this);
    return true;
  }

  /** Asks once a second whether this is still the worker in charge, and reads all again from time to time. */
  async #watch(connection: RuntimeConnection): Promise<void> {
    let audited = clock.now();
    for (;;) {
      await connection.pause(tickInterval);
      // Rejects with the reason when the connection has ended.
      const [info = ''] = await connection.send(['show info']);
      const process = parseInfo(info);
      if (process.stopping || !this.#isSameWorker(process)) {
        this.#log.info('another HAProxy worker has taken over', { pid: process.pid });
        connection.close();
        return;
      }
      this.#lastUptime = process.uptime;
      await this.#reaper.run(connection);
      if (clock.now() - audited > this.#auditInterval()) {
        audited = clock.now();
        await this.#audit.readAll();
      }
    }
  }

  /** Reading costs about a microsecond and a half per server in HAProxy, and as much here. */
  #auditInterval(): number {
    return Math.min(auditIntervals.shortest + this.#picture.count(), auditIntervals.longest);
  }

  /** The pid alone does not tell: in a container every first worker may have the same one. */
  #isSameWorker(process: ProcessInfo): boolean {
    return process.pid === this.#worker?.pid && process.uptime >= this.#lastUptime - 1;
  }

  #context(desired: DesiredService): PlanContext {
    return {
      capabilities: this.#capabilities,
      idOf: (server: Server) => desired.ids.claim(server.name, server.explicitId),
      isLeaving: (name) => (desired.leaving.get(name) ?? 0) > clock.now() && !this.#reaper.isIdle(desired, name),
    };
  }

  #planAll(desired: DesiredService): Plan {
    const structure = desired.active;
    const servers = structure && desiredServers(desired, structure);
    if (structure === undefined || servers === undefined) {
      this.#outstanding.note(desired.service, emptyPlan, 'replace');
      return emptyPlan;
    }
    const plan = planBackend(structure, this.running.get(structure.backend), servers, this.#context(desired));
    this.#outstanding.note(desired.service, plan, 'replace');
    return plan;
  }

  #execute(changes: readonly ServerChange[]): Promise<ChangeResult> {
    const connection = this.#connection;
    return connection === undefined ? Promise.resolve(nothing) : this.#carryOut(connection, changes);
  }
}
