#!/usr/bin/env node
import { type AdminTarget, readState } from '../common/adminclient.ts';
import { loadAdminConfig } from '../common/adminconfig.ts';
import { type Command, type CommandContext, main, UsageError } from '../common/daemon.ts';
import { checkTlsFiles } from '../common/etcd/tlsfiles.ts';
import { findSocket } from '../common/places.ts';
import { packageVersion } from '../common/version.ts';
import { defaultListen, type LoadOptions, loadConfig } from './config.ts';
import { describeOptions, formatSections } from './describe.ts';
import { changeDrain } from './draincommand.ts';
import type { NerveState } from './state.ts';
import { formatStatus } from './statustable.ts';

const version = packageVersion();

const json = { json: { type: 'boolean', doc: 'print JSON' } } as const;

const run: Command = {
  summary: 'Check the services of this host and announce those that are healthy.',
  async run(context) {
    // Loaded here: the etcd client is large, and no other command needs it.
    const { runNerve } = await import('./run.ts');
    await runNerve(source(context), { log: context.log, version });
  },
};

const check: Command = {
  summary: 'Validate the configuration and start nothing.',
  async run(context) {
    const { services, etcd } = await loadConfig(source(context), context.log);
    checkTlsFiles(etcd, context.config ?? 'environment');
    context.print(`the configuration is valid: ${services.size} services\n`);
  },
};

const status: Command = {
  summary: 'Show what the running nerve sees.',
  options: json,
  async run(context) {
    const state = (await readState(await adminTarget(context), { program: 'nerve' })) as NerveState;
    if (!Array.isArray(state.services) || !Array.isArray(state.leases))
      throw new Error('what answers there is not nerve');
    context.print(context.options.json ? `${JSON.stringify(state, null, 2)}\n` : formatStatus(state));
  },
};

const drain: Command = {
  summary: 'Let a service finish what it has, without new connections.',
  usage: 'SERVICE [INSTANCE]',
  options: { wait: { type: 'boolean', doc: 'return when the drain time (drain_time) is over' } },
  run: (context) => drainOrUndrain(context, 'drain'),
};

const undrain: Command = {
  summary: 'Give a drained service new connections again.',
  usage: 'SERVICE [INSTANCE]',
  run: (context) => drainOrUndrain(context, 'undrain'),
};

const describe: Command = {
  summary: 'Show the options of the configuration, or of one check.',
  usage: '[CHECK]',
  options: json,
  async run({ args, options, print }) {
    const sections = await describeOptions(args[0]).catch((error) => {
      throw new UsageError((error as Error).message);
    });
    print(options.json ? `${JSON.stringify(sections, null, 2)}\n` : formatSections(sections));
  },
};

async function drainOrUndrain(context: CommandContext, action: 'drain' | 'undrain'): Promise<void> {
  const { args, options, print, log } = context;
  const [service, instance] = args;
  const to = { admin: await adminTarget(context), print, warn: (text: string) => log.warn(text) };
  await changeDrain(action, { service, instance, wait: options.wait === true }, to);
}

/** Where the running nerve is: as its configuration says, or its defaults. */
async function adminTarget({ config, env }: CommandContext): Promise<AdminTarget> {
  const given =
    config === undefined
      ? { listen: env.NERVE_ADMIN_LISTEN || defaultListen, control_socket: env.NERVE_CONTROL_SOCKET || null }
      : await loadAdminConfig(config, { listen: defaultListen, env });
  const control_socket = given.control_socket ?? (await findSocket({ program: 'nerve', configFile: config, env }));
  return { listen: given.listen, control_socket };
}

function source({ config: file, options, env }: CommandContext): LoadOptions {
  return { file, instanceId: options.instance_id as string | undefined, env };
}

await main({
  name: 'nerve',
  version,
  summary: 'Checks the services of this host and announces the healthy ones in etcd.',
  configEnv: 'NERVE_CONFIG',
  options: {
    instance_id: {
      type: 'string',
      short: 'i',
      placeholder: 'ID',
      env: 'NERVE_INSTANCE_ID',
      doc: 'name of this host in the registry',
    },
    'check-config': { type: 'boolean', short: 'k', env: 'NERVE_CHECK_CONFIG', doc: 'same as the command check' },
  },
  // As in SmartStack: with -k, validate only.
  defaultCommand: (options) => (options['check-config'] ? 'check' : 'run'),
  commands: { run, check, status, drain, undrain, describe },
});
