import { isError, type Problem } from '../../../../../common/config/config.ts';
import { isObject } from '../../../../../common/config/formats.ts';
import { parseText } from '../../../../../common/config/parse.ts';

/** The share of the fleet that uses each source, by the source's name. */
export type Weights = ReadonlyMap<string, number>;

/**
 * Reads `{NAME: WEIGHT, …}`, YAML or JSON; an empty text holds no weights.
 * @throws when it is something else, or names a source that is not in `names`
 */
export function readWeights(text: string, names: readonly string[]): Weights {
  const problems: Problem[] = [];
  const value = parseText(text, 'the object', problems);
  const problem = problems.find(isError);
  if (problem !== undefined) throw new Error(problem.message);
  if (value === undefined || value === null) return new Map();
  if (!isObject(value)) throw new Error('must be an object of weights by the name of the source');
  const weights = new Map<string, number>();
  for (const [name, weight] of Object.entries(value)) {
    if (!names.includes(name))
      throw new Error(`no source is called ${JSON.stringify(name)}; the sources are ${names.join(', ')}`);
    if (typeof weight !== 'number' || !Number.isSafeInteger(weight) || weight < 0) {
      throw new Error(`${name}: a weight is a whole number from 0`);
    }
    weights.set(name, weight);
  }
  return weights;
}

/** Draws a name in proportion to the weights; `random` is from 0 to less than 1. Undefined when all weights are 0. */
export function drawSource(weights: Weights, random: number): string | undefined {
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  let rest = random * total;
  for (const [name, weight] of weights) {
    if (rest < weight) return name;
    rest -= weight;
  }
  return undefined;
}
