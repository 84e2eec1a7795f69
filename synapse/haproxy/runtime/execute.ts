import { clock } from '../../../common/async/clock.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import { commandsTotal } from '../metrics.ts';
import type { RunningServer } from '../spec/types.ts';
import type { Attempts, Touches } from './bookkeeping.ts';
import type { CommandLog } from './command-log.ts';
import type { RuntimeConnection } from './connection.ts';
import type { ServerChange } from './plan.ts';
import { judge, type Verdict } from './reply.ts';
import { type Picture, uncertain } from './server-state.ts';

/** No change at all. */
export const nothing: ChangeResult = { commands: 0, failed: 0 };

/** What a change is carried out with, and who has to know of it. */
export interface ExecutionDeps {
  readonly log: Log;
  readonly picture: Picture;
  readonly commandLog: CommandLog;
  readonly touches: Touches;
  readonly attempts: Attempts;
  /** Commands are on their way. */
  readonly onSent: () => void;
  /** HAProxy did not do what it was told to; `surprise`: something is there that we did not know of. */
  readonly onFailed: (result: 'surprise' | 'refused') => void;
}

/** Carries changes out on a connection. The commands are on their way when it returns; it never rejects. */
export type Execute = (connection: RuntimeConnection, changes: readonly ServerChange[]) => Promise<ChangeResult>;

export function createExecution({
  log,
  picture,
  commandLog,
  touches,
  attempts,
  onSent,
  onFailed,
}: ExecutionDeps): Execute {
  const { running } = picture;

  /** From now on the server counts as what its commands make it; a failed reply or a reading corrects that. */
  const assume = ({ backend, name, after }: ServerChange): RunningServer | undefined => {
    const servers = running.get(backend);
    const before = servers?.get(name);
    servers?.set(name, after);
    touches.touch(backend);
    return before;
  };

  const refused = (change: ServerChange, result: 'surprise' | 'refused', message: string): void => {
    const { backend, name, action } = change;
    log.warn('HAProxy refused a command', { backend, server: name, action, reason: message });
    if (action === 'add') running.get(backend)?.delete(name);
    // What was refused will be refused again; what surprised us is tried once more after reading.
    attempts.failed(change, message, result === 'refused');
    touches.touch(backend);
    onFailed(result);
  };

  return async (connection, changes) => {
    if (changes.length === 0) return nothing;
    const sentAt = clock.now();
    const pending = connection.send(changes.flatMap(({ commands }) => commands.map(({ text }) => text)));
    const before = changes.map(assume);
    onSent();
    try {
      const replies = await pending;
      commandLog.note(changes, replies, clock.now() - sentAt);
      return judgeChanges(changes, replies, {
        done: ({ backend, name, after }) => {
          const servers = running.get(backend);
          const open = !after.maintenance && !after.drained;
          if (open && servers?.get(name) === after) servers.set(name, { ...after, ours: false });
        },
        failed: (change, verdict) => {
          const servers = running.get(change.backend);
          // What HAProxy did not do must not count as set by us once it is read.
          if (servers?.get(change.name) === change.after) {
            servers.set(change.name, uncertain(before[changes.indexOf(change)], change.after));
          }
          refused(change, verdict.result, verdict.message);
        },
      });
    } catch (error) {
      changes.forEach((change, index) => {
        running.get(change.backend)?.set(change.name, uncertain(before[index], change.after));
      });
      commandLog.note(changes, [], clock.now() - sentAt);
      log.debug('commands without a reply', { commands: changes.length, reason: reasonOf(error) });
      return judgeChanges(changes, [], {});
    }
  };
}

/** How the commands of one plan went. */
export interface ChangeResult {
  readonly commands: number;
  /** Servers that are not as they should be. */
  readonly failed: number;
}

/** Told about each server: once done, or once with the first verdict that was not. */
export interface ChangeHandlers {
  readonly done?: (change: ServerChange) => void;
  readonly failed?: (change: ServerChange, verdict: Exclude<Verdict, { result: 'done' }>) => void;
}

/** Matches replies with the commands they answer, in order. Commands without a reply count as lost. */
export function judgeChanges(
  changes: readonly ServerChange[],
  replies: readonly string[],
  handlers: ChangeHandlers,
): ChangeResult {
  let index = 0;
  let failed = 0;
  for (const change of changes) {
    let worst: Exclude<Verdict, { result: 'done' }> | undefined;
    let lost = false;
    for (const { kind } of change.commands) {
      const reply = replies[index++];
      const verdict = reply === undefined ? undefined : judge(kind, reply);
      commandsTotal.inc({ command: kind, result: verdict?.result ?? 'lost' });
      if (verdict === undefined) lost = true;
      // What follows a refused command fails because of it and says nothing of its own.
      else if (verdict.result !== 'done') worst ??= verdict;
    }
    if (worst !== undefined || lost) failed += 1;
    if (worst !== undefined) handlers.failed?.(change, worst);
    else if (!lost) handlers.done?.(change);
  }
  return { commands: index, failed };
}
