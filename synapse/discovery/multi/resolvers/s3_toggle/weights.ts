import type { Problem } from '../../../../../common/config/config.ts';
import { isObject } from '../../../../../common/config/formats.ts';
import { parseText } from '../../../../../common/config/parse.ts';

/** How much of the fleet is to use each source. */
export type Weights = ReadonlyMap<string, number>;

/**
 * Reads `{NAME: WEIGHT, …}`, YAML or JSON; nothing at all is no weights.
 * @throws when it is something else, or names a source that is not in `names`
 */
export function readWeights(text: string, names: readonly string[]): Weights {
  const problems: Problem[] = [];
  const value = parseText(text, 'the object', problems);
  const [problem] = problems;
  if (problem !== undefined) throw new Error(problem.message);
  if (value === undefined || value === null) return new Map();
  if (!isObject(value)) throw new Error('must be an object of weights by the name of the source');
  const weights = new Map<string, number>();
  for (const [name, weight] of Object.entries(value)) {
    if (!names.includes(name))
      throw new Error(`no source is called ${JSON.stringify(name)}; there are ${names.join(', ')}`);
    if (typeof weight !== 'number' || !Number.isSafeInteger(weight) || weight < 0) {
      throw new Error(`${name}: a weight is a whole number from 0`);
    }
    weights.set(name, weight);
  }
  return weights;
}

/** One of the names, each as often as its weight says; `random` is from 0 to less than 1. Undefined when all are 0. */
export function pick(weights: Weights, random: number): string | undefined {
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  let left = random * total;
  for (const [name, weight] of weights) {
    if (left < weight) return name;
    left -= weight;
  }
  return undefined;
}
