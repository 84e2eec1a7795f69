import { readState } from '../../common/admin/client.ts';
import { completeCommand } from '../../common/cli/completion.ts';
import type { Command } from '../../common/cli/program.ts';
import { serviceNames } from '../../common/config/service-names.ts';
import { ownCheckTypes } from '../check.ts';
import type { NerveState } from '../status-shape.ts';
import { adminTarget } from './context.ts';

/** Short, because a shell waits for the answer. */
const timeoutMs = 1_000;

/** The hidden command that shells call for completions. */
export const complete: Command = completeCommand(async (kind, context) => {
  const { args, config } = context;
  if (kind === 'plugin') return ownCheckTypes.names();
  const state = readState(await adminTarget(context), { program: 'nerve', timeoutMs }) as Promise<NerveState>;
  if (kind === 'service') {
    return state.then(
      ({ services }) => services.map(({ service }) => service),
      () => (config === undefined ? [] : serviceNames(config)),
    );
  }
  const { services } = await state;
  return services.filter(({ service }) => service === args[1]).map(({ instance }) => instance);
});
