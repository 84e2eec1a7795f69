import { parentPort, workerData } from 'node:worker_threads';
import { allProperties, type SeedLimits, type SeedReport, trySeed } from './property.ts';

/** The cases of one seed that a worker is to try. */
export interface Task extends SeedLimits {
  readonly name: string;
}

const all = new Map((await allProperties(workerData as string)).map((each) => [each.name, each]));

parentPort?.on('message', async ({ name, ...limits }: Task) => {
  const tried = all.get(name);
  if (tried === undefined) throw new Error(`no property is called ${name}`);
  const report: SeedReport = await trySeed(tried, limits);
  parentPort?.postMessage(report);
});
parentPort?.postMessage('ready');
