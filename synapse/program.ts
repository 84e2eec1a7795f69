import { completionCommand } from '../common/cli/completion.ts';
import type { Program } from '../common/cli/program.ts';
import { packageVersion } from '../common/daemon/version.ts';
import { check } from './commands/check.ts';
import { complete } from './commands/complete.ts';
import { describe } from './commands/describe.ts';
import { events } from './commands/events.ts';
import { explain } from './commands/explain.ts';
import { fleet } from './commands/fleet.ts';
import { plan } from './commands/plan.ts';
import { render } from './commands/render.ts';
import { run } from './commands/run.ts';
import { services } from './commands/services.ts';
import { status } from './commands/status.ts';
import { wait } from './commands/wait.ts';

/** The command line of synapse: what runs, and what help, manual and completion say of it. */
export const synapseProgram: Program = {
  name: 'synapse',
  version: packageVersion(),
  summary: 'Finds the instances of services and keeps the local HAProxy up to date.',
  configEnv: 'SYNAPSE_CONFIG',
  commands: {
    run,
    check,
    render,
    plan,
    status,
    services,
    explain,
    wait,
    fleet,
    events,
    describe,
    completion: completionCommand(() => synapseProgram),
    complete,
  },
};
