import type { Command } from '../../common/cli/program.ts';
import { source } from './context.ts';

export const run: Command = {
  summary: 'Check the services of this host and announce those that are healthy.',
  notes: [
    'SIGTERM and SIGINT end it in order: it withdraws what it announced. SIGHUP reads the configuration again and ' +
      'touches only what changed. Logs go to standard error: readable on a terminal, JSON lines otherwise.',
  ],
  async run(context) {
    // Loaded here: the etcd client is large, and few other commands need it.
    const { runNerve } = await import('../run.ts');
    await runNerve(source(context), { log: context.log, version: context.version });
  },
};
