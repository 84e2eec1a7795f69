import type { AdminTarget } from '../../common/admin/client.ts';
import { loadAdminConfig } from '../../common/admin/options.ts';
import { numberOption } from '../../common/cli/number-option.ts';
import type { CommandContext } from '../../common/cli/program.ts';
import type { SynapseConfig } from '../config/config.ts';
import { defaultListen } from '../config/listen.ts';

/** The option of every command that prints JSON. */
export const json = { json: { type: 'boolean', doc: 'print JSON; its keys are in the manual' } } as const;

/** Seconds. */
const waitRange = { least: 0, most: 3_600, fractions: true } as const;

/** The option of commands that ask the sources themselves. */
export const wait = {
  wait: {
    type: 'string',
    placeholder: 'SECONDS',
    range: waitRange,
    doc: 'seconds to wait for the sources, default 5',
  },
} as const;

/** The exit code of commands that read everything themselves when the daemon does not answer. */
export const directly = { 3: 'synapse is not running: the output was read without it' } as const;

/** Reads the whole configuration. @throws {ConfigError} {UsageError} */
export async function load({
  env,
  openLog,
  needConfig,
}: Pick<CommandContext, 'env' | 'openLog' | 'needConfig'>): Promise<SynapseConfig> {
  const file = needConfig();
  // Loaded here, because most commands only ask the running synapse.
  const { readSynapseConfig } = await import('../config/config.ts');
  return readSynapseConfig(file, { env, log: await openLog() });
}

/** Where the running synapse can be asked: from its configuration, or the default. */
export async function adminTarget({ config, env }: CommandContext): Promise<AdminTarget> {
  if (config !== undefined) return loadAdminConfig(config, { listen: defaultListen, env });
  return { listen: env.SYNAPSE_ADMIN_LISTEN || defaultListen, control_socket: env.SYNAPSE_CONTROL_SOCKET || null };
}

/** `--wait` in milliseconds. @throws {UsageError} */
export function waitOf({ options }: Pick<CommandContext, 'options'>): number {
  return numberOption('wait', options.wait ?? '5', waitRange) * 1_000;
}

/** Aborts at Ctrl-C or SIGTERM, which end a command that follows something. */
export function interrupted(): AbortSignal {
  const end = new AbortController();
  process.once('SIGINT', () => end.abort());
  process.once('SIGTERM', () => end.abort());
  return end.signal;
}
