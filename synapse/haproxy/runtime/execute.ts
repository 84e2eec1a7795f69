import { clock } from '../../../common/async/clock.ts';
import { LimitedLog } from '../../../common/daemon/limited-log.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import { commandsTotal } from '../metrics.ts';
import type { RunningServer } from '../spec/types.ts';
import type { DirtyBackends } from './bookkeeping.ts';
import type { CommandLog } from './command-log.ts';
import type { RuntimeConnection } from './connection.ts';
import type { ServerChange } from './draft.ts';
import { type CommandFailure, type CommandResult, judge } from './reply.ts';
import { type ServerState, uncertain } from './server-state.ts';

/** The result of sending changes. */
export interface ChangeResult {
  /** Commands that were sent. */
  readonly commands: number;
  /** Servers that are not as they should be. */
  readonly failed: number;
}

/** The result of sending nothing. */
export const nothingSent: ChangeResult = { commands: 0, failed: 0 };

/** What is kept up to date while changes are sent, and what is told about them. */
export interface ExecutorDeps {
  readonly log: Log;
  readonly state: ServerState;
  readonly commandLog: CommandLog;
  readonly dirty: DirtyBackends;
  /** Called for each change that HAProxy refused. `final`: it would refuse the same change again. */
  readonly onRefused: (change: ServerChange, message: string, final: boolean) => void;
  /** Called when commands are on their way. */
  readonly onSent: () => void;
  /** Called when HAProxy did not do what it was told. */
  readonly onFailed: (result: CommandFailure['result']) => void;
}

/** Sends changes to HAProxy and records what became of them. */
export class Executor {
  readonly #deps: ExecutorDeps;
  readonly #refusals: LimitedLog;

  constructor(deps: ExecutorDeps) {
    this.#deps = deps;
    this.#refusals = new LimitedLog(deps.log);
  }

  /** The commands are on their way when this returns. Resolves when HAProxy has answered, and never rejects. */
  async send(connection: RuntimeConnection, changes: readonly ServerChange[]): Promise<ChangeResult> {
    if (changes.length === 0) return nothingSent;
    const { log, commandLog, onSent } = this.#deps;
    const sentAt = clock.now();
    const pending = connection.send(changes.flatMap(({ commands }) => commands.map(({ text }) => text)));
    const before = changes.map((change) => this.#assume(change));
    onSent();
    let replies: readonly string[] = [];
    try {
      replies = await pending;
    } catch (error) {
      log.debug('HAProxy did not reply to commands', { commands: changes.length, reason: reasonOf(error) });
      changes.forEach((change, index) => {
        this.#set(change, uncertain(before[index], change.after));
      });
    }
    commandLog.record(changes, replies, clock.now() - sentAt);
    return this.#judge(changes, before, replies);
  }

  /** From now on the server counts as what its commands make of it. A refusal or a reading corrects that. */
  #assume(change: ServerChange): RunningServer | undefined {
    const before = this.#current(change);
    this.#set(change, change.after);
    this.#deps.dirty.mark(change.backend);
    return before;
  }

  /** Matches replies with commands, in order. A command without a reply counts as lost. */
  #judge(
    changes: readonly ServerChange[],
    before: readonly (RunningServer | undefined)[],
    replies: readonly string[],
  ): ChangeResult {
    let commands = 0;
    let failed = 0;
    changes.forEach((change, index) => {
      const results = change.commands.map(({ kind }) => {
        const reply = replies[commands++];
        const result = reply === undefined ? undefined : judge(kind, reply);
        commandsTotal.inc({ command: kind, result: metricLabels[result?.result ?? 'lost'] });
        return result;
      });
      // The commands after a refused one fail because of it, so only the first failure says something.
      const failure = results.find((result): result is CommandFailure => isFailure(result));
      const isLost = results.includes(undefined);
      if (failure !== undefined || isLost) failed += 1;
      if (failure !== undefined) this.#refused(change, before[index], failure);
      else if (!isLost) this.#done(change);
    });
    return { commands, failed };
  }

  /** A server that was opened is not closed by us any more. */
  #done(change: ServerChange): void {
    const { after } = change;
    const isOpen = !after.maintenance && !after.drained;
    if (isOpen && this.#current(change) === after) this.#set(change, { ...after, ours: false });
  }

  #refused(change: ServerChange, before: RunningServer | undefined, { result, message }: CommandFailure): void {
    const { backend, name, action } = change;
    const { state, dirty, onRefused, onFailed } = this.#deps;
    // When the server is read, what HAProxy did not do must not count as set by us.
    if (this.#current(change) === change.after) this.#set(change, uncertain(before, change.after));
    this.#refusals.warn('HAProxy refused a command', { backend, server: name, action, reason: message });
    if (action === 'add') state.running.get(backend)?.delete(name);
    // A refused command would be refused again. After something unexpected, it is sent once more when all has been read.
    onRefused(change, message, result === 'refused');
    dirty.mark(backend);
    onFailed(result);
  }

  #current({ backend, name }: ServerChange): RunningServer | undefined {
    return this.#deps.state.running.get(backend)?.get(name);
  }

  #set({ backend, name }: ServerChange, server: RunningServer): void {
    this.#deps.state.running.get(backend)?.set(name, server);
  }
}

/** Results as the metric names them. */
const metricLabels = {
  done: 'done',
  unexpected: 'surprise',
  stopping: 'surprise',
  refused: 'refused',
  lost: 'lost',
} as const;

function isFailure(result: CommandResult | undefined): result is CommandFailure {
  return result !== undefined && result.result !== 'done';
}
