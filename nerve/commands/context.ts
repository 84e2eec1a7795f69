import type { AdminTarget } from '../../common/admin/client.ts';
import { loadAdminConfig } from '../../common/admin/options.ts';
import type { CommandContext } from '../../common/cli/program.ts';
import { findSocket } from '../../common/config/source-map.ts';
import { defaultListen, type LoadOptions } from '../config/config.ts';

/** The option that many commands have. */
export const json = { json: { type: 'boolean', doc: 'print JSON; its keys are in the manual' } } as const;

/** Where the running nerve is: as its configuration says, or its defaults. */
export async function adminTarget({ config, env }: CommandContext): Promise<AdminTarget> {
  const given =
    config === undefined
      ? { listen: env.NERVE_ADMIN_LISTEN || defaultListen, control_socket: env.NERVE_CONTROL_SOCKET || null }
      : await loadAdminConfig(config, { listen: defaultListen, env });
  const control_socket = given.control_socket ?? (await findSocket({ program: 'nerve', configFile: config, env }));
  return { listen: given.listen, control_socket };
}

/** What the configuration is read from. */
export function source({ config: file, options, env }: CommandContext): LoadOptions {
  return { file, instanceId: options.instance_id as string | undefined, env };
}
