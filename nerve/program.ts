import { completionCommand } from '../common/cli/completion.ts';
import type { Program } from '../common/cli/program.ts';
import { packageVersion } from '../common/daemon/version.ts';
import { check } from './commands/check.ts';
import { complete } from './commands/complete.ts';
import { describe } from './commands/describe.ts';
import { drain, undrain } from './commands/drain.ts';
import { run } from './commands/run.ts';
import { status } from './commands/status.ts';
import { weight } from './commands/weight.ts';

/** The command line of nerve, from which help, manual page and completion are made. */
export const nerveProgram: Program = {
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
  commands: {
    run,
    check,
    status,
    drain,
    undrain,
    weight,
    describe,
    completion: completionCommand(() => nerveProgram),
    complete,
  },
};
