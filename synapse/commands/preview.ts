import type { CommandContext } from '../../common/cli/program.ts';
import type { Preview } from '../haproxy/preview.ts';
import { load, waitOf } from './context.ts';

/** The haproxy.cfg and the commands that follow from what the sources say now. */
export interface PreviewNow extends Preview {
  /** Services whose source did not answer in time, with the reason; their instances are from the state file. */
  readonly unanswered: ReadonlyMap<string, string>;
}

/** Asks the sources once and works out the file and the commands. Changes nothing. */
export async function previewNow(context: CommandContext): Promise<PreviewNow> {
  // Loaded here, because most commands only ask the running synapse and need none of it.
  const [{ collect }, { preview }] = await Promise.all([import('../collect-once.ts'), import('../haproxy/preview.ts')]);
  const log = await context.openLog();
  const config = await load(context);
  const { snapshot, unanswered, state, stateFile } = await collect(config, { waitMs: waitOf(context), log });
  const unread = stateFile?.unreadable ?? stateFile?.damaged;
  if (unread !== undefined) log.error('the state file is not used', { path: config.stateFile?.path, reason: unread });
  if (unanswered.length > 0) log.warn('some sources did not answer in time', { services: unanswered });
  const found = await preview(config.haproxy, snapshot);
  for (const [service, reason] of found.problems)
    log.error('HAProxy cannot take the configuration of a service', { service, reason });
  const why = unanswered.map((name) => [name, state.services[name]?.reason ?? 'no answer in time'] as const);
  return { ...found, unanswered: new Map(why) };
}
