import type { ProgramSource } from '../common/cli/program.ts';
import { wholeProgram } from '../common/cli/whole-program.ts';
import { packageVersion } from '../common/daemon/version.ts';

/** The command line of synapse: what runs, and what help, manual and completion say of it. */
export const synapseSource: ProgramSource = {
  name: 'synapse',
  version: packageVersion(),
  summary: 'Finds the instances of services and keeps the local HAProxy up to date.',
  configEnv: 'SYNAPSE_CONFIG',
  loaders: {
    run: async () => (await import('./commands/run.ts')).run,
    check: async () => (await import('./commands/check.ts')).check,
    render: async () => (await import('./commands/render.ts')).render,
    plan: async () => (await import('./commands/plan.ts')).plan,
    status: async () => (await import('./commands/status.ts')).status,
    services: async () => (await import('./commands/services.ts')).services,
    explain: async () => (await import('./commands/explain.ts')).explain,
    wait: async () => (await import('./commands/wait.ts')).wait,
    fleet: async () => (await import('./commands/fleet.ts')).fleet,
    events: async () => (await import('./commands/events.ts')).events,
    describe: async () => (await import('./commands/describe.ts')).describe,
    completion: async () => {
      const { completionCommand } = await import('../common/cli/completion.ts');
      return completionCommand(() => wholeProgram(synapseSource));
    },
    complete: async () => (await import('./commands/complete.ts')).complete,
  },
};
