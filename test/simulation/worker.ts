import { parentPort } from 'node:worker_threads';
import { runSeed } from './run-seed.ts';

// Stack traces cost a tenth of the time. A seed that fails is run again alone.
Error.stackTraceLimit = 0;

// One seed at a time: the clock of a run is the clock of its thread.
parentPort?.on('message', async (seed: number) => {
  const result = await runSeed(seed);
  parentPort?.postMessage({ ...result, history: [] });
});
