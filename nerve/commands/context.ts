import type { AdminTarget } from '../../common/admin/client.ts';
import { loadAdminConfig } from '../../common/admin/options.ts';
import type { CommandContext } from '../../common/cli/program.ts';
import { findSocket } from '../../common/daemon/default-paths.ts';
import type { ConfigSource } from '../config/config.ts';
import { defaultListen } from '../config/listen.ts';

/** The option that several commands share. */
export const json = { json: { type: 'boolean', doc: 'print JSON; the manual lists its keys' } } as const;

/** The address of the running nerve, from its configuration or the defaults. */
export async function adminTarget({ config, env }: CommandContext): Promise<AdminTarget> {
  const given =
    config === undefined
      ? { listen: env.NERVE_ADMIN_LISTEN || defaultListen, control_socket: env.NERVE_CONTROL_SOCKET || null }
      : await loadAdminConfig(config, { listen: defaultListen, env });
  const control_socket = given.control_socket ?? (await findSocket({ program: 'nerve', configFile: config, env }));
  return { listen: given.listen, control_socket };
}

/** What a command reads the configuration from. */
export function configSource({ config: file, options, env }: CommandContext): ConfigSource {
  return { file, instanceId: options.instance_id as string | undefined, env };
}
