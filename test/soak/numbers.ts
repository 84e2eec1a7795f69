import { largestSeed } from '../support/tool-options.ts';

/** The numeric options of `npm run soak`. Minutes: up to a week. */
export const soakNumbers = {
  minutes: { least: 0.01, most: 10_080, fractions: true, otherwise: 11 },
  seed: { least: 0, most: largestSeed, otherwise: Math.floor(Math.random() * 1_000_000) },
} as const;
