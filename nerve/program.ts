import type { ProgramSource } from '../common/cli/program.ts';
import { wholeProgram } from '../common/cli/whole-program.ts';
import { packageVersion } from '../common/daemon/version.ts';

/** The command line of nerve, from which help, manual page and completion are made. */
export const nerveSource: ProgramSource = {
  name: 'nerve',
  version: packageVersion(),
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
  loaders: {
    run: async () => (await import('./commands/run.ts')).run,
    check: async () => (await import('./commands/check.ts')).check,
    status: async () => (await import('./commands/status.ts')).status,
    drain: async () => (await import('./commands/drain.ts')).drain,
    undrain: async () => (await import('./commands/drain.ts')).undrain,
    weight: async () => (await import('./commands/weight.ts')).weight,
    describe: async () => (await import('./commands/describe.ts')).describe,
    completion: async () => {
      const { completionCommand } = await import('../common/cli/completion.ts');
      return completionCommand(() => wholeProgram(nerveSource));
    },
    complete: async () => (await import('./commands/complete.ts')).complete,
  },
};
