import { availableParallelism } from 'node:os';
import { largestSeed } from '../support/tool-options.ts';

/** The numeric options of `npm run simulate`. A seed of it takes about a second. */
export const simulationNumbers = {
  seeds: { least: 1, most: 1_000_000, otherwise: 100 },
  first: { least: 0, most: largestSeed, otherwise: Math.floor(Math.random() * largestSeed) },
  workers: { least: 1, most: 256, otherwise: availableParallelism() },
  seed: { least: 0, most: largestSeed + 1_000_000, otherwise: 0 },
} as const;
