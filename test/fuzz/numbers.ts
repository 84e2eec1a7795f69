import { availableParallelism } from 'node:os';
import { largestSeed } from '../support/tool-options.ts';

/** The numeric options of `npm run fuzz`. Minutes: up to a week. */
export const fuzzNumbers = {
  minutes: { least: 0.01, most: 10_080, fractions: true, otherwise: 10 },
  workers: { least: 1, most: 256, otherwise: availableParallelism() },
  seed: { least: 0, most: largestSeed, otherwise: Math.floor(Math.random() * largestSeed) },
} as const;
