import { commandsTotal } from '../metrics.ts';
import type { ServerChange } from './plan.ts';
import { judge, type Verdict } from './reply.ts';

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
