import { readPath } from '../../common/admin/client.ts';
import { completeCommand } from '../../common/cli/completion.ts';
import type { Command } from '../../common/cli/program.ts';
import { serviceNames } from '../../common/config/service-names.ts';
import { pluginNames } from '../../common/plugin.ts';
import type { ServiceReport } from '../report/state.ts';
import { sourceFolder } from '../source.ts';
import { adminTarget } from './context.ts';

/** A shell waits for it; milliseconds. */
const timeout = 1_000;

export const complete: Command = completeCommand(async (kind, context) => {
  const { args, config } = context;
  if (kind === 'plugin') return [...(await pluginNames(sourceFolder)), 'multi'];
  const ask = async (path: string) => readPath(await adminTarget(context), path, { program: 'synapse', timeout });
  if (kind === 'service') {
    return ask('/api/v1/summary').then(
      (summary) => Object.keys((summary as { readonly services: object }).services),
      () => (config === undefined ? [] : serviceNames(config)),
    );
  }
  const name = encodeURIComponent(args[1] ?? '');
  const { instances, left_out: out } = (await ask(`/api/v1/service?name=${name}`)) as ServiceReport;
  return [...(instances ?? []), ...out].map(({ id }) => id);
});
