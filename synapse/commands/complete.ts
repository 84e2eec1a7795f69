import { completeCommand } from '../../common/cli/completion.ts';
import type { Command } from '../../common/cli/program.ts';
import { serviceNames } from '../../common/config/service-names.ts';
import { pluginNames } from '../../common/plugin.ts';
import { sourceFolder } from '../source.ts';
import { ask } from './ask.ts';
import { adminTarget } from './context.ts';

/** Deadline in milliseconds: a shell waits for the answer. */
const timeoutMs = 1_000;

/** The hidden command that shells call for completions. */
export const complete: Command = completeCommand(async (kind, context) => {
  const { args, config } = context;
  if (kind === 'plugin') return [...(await pluginNames(sourceFolder)), 'multi'];
  const target = await adminTarget(context);
  if (kind === 'service') {
    return ask(target, '/api/v1/summary', { timeoutMs }).then(
      ({ services }) => Object.keys(services),
      () => (config === undefined ? [] : serviceNames(config)),
    );
  }
  const query = { name: args[1] ?? '' };
  const { instances, left_out: leftOut } = await ask(target, '/api/v1/service', { query, timeoutMs });
  return [...(instances ?? []), ...leftOut].map(({ id }) => id);
});
