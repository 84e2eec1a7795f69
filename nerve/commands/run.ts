import type { Command } from '../../common/cli/program.ts';
import { keepHeapSmall } from '../../common/daemon/heap.ts';
import { configSource } from './context.ts';

/** `nerve run` */
export const run: Command = {
  summary: 'Check the services of this host and announce the healthy ones.',
  notes: [
    'SIGTERM and SIGINT stop nerve: it withdraws what it announced. At SIGHUP, nerve reads the configuration again and ' +
      'restarts only the services that changed. Logs go to standard error: readable on a terminal, JSON lines otherwise.',
  ],
  async run(context) {
    keepHeapSmall();
    // Loaded only here: the etcd client is large, and few other commands need it.
    const { realWorld, runNerve } = await import('../run.ts');
    await runNerve(configSource(context), { ...realWorld, log: await context.openLog(), version: context.version });
  },
};
