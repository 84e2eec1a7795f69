import { parentPort } from 'node:worker_threads';
import { runSeed } from './run-seed.ts';

// One seed at a time: the clock of a run is the clock of its thread.
parentPort?.on('message', async (seed: number) => {
  const result = await runSeed(seed);
  parentPort?.postMessage({ ...result, history: [] });
});
