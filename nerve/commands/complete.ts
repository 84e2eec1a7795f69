import { readState } from '../../common/admin/client.ts';
import { completeCommand } from '../../common/cli/completion.ts';
import type { Command } from '../../common/cli/program.ts';
import { serviceNames } from '../../common/config/service-names.ts';
import { pluginNames } from '../../common/plugin.ts';
import { checkFolder } from '../check.ts';
import type { NerveState } from '../state.ts';
import { adminTarget } from './context.ts';

/** A shell waits for it; milliseconds. */
const timeout = 1_000;

export const complete: Command = completeCommand(async (kind, context) => {
  const { args, config } = context;
  if (kind === 'plugin') return pluginNames(checkFolder);
  const state = readState(await adminTarget(context), { program: 'nerve', timeout }) as Promise<NerveState>;
  if (kind === 'service') {
    return state.then(
      ({ services }) => services.map(({ service }) => service),
      () => (config === undefined ? [] : serviceNames(config)),
    );
  }
  const { services } = await state;
  return services.filter(({ service }) => service === args[1]).map(({ instance }) => instance);
});
