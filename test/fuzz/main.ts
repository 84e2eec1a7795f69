import { UsageError } from '../../common/cli/program.ts';
import { orUsage, readToolLine } from '../support/tool-options.ts';
import { fuzzNumbers } from './numbers.ts';
import { allProperties, type NamedProperty, trySeed } from './property.ts';
import { Fuzzing } from './run.ts';

const usage = `usage: npm run fuzz -- [--minutes N] [--workers N] [--only TEXT] [--seed N [--path PATH]] [--list]

Tries the properties in test/fuzz/*.fuzz.ts with random values, one after the other, until the time is over.

  --minutes N  how long, default 10; may be a fraction
  --workers N  how many at once, default one for each processor
  --only TEXT  only properties whose names have this text
  --seed N     the first seed, default random; with --path the one case of that seed, as a failure prints it
  --list       prints the names of the properties
`;

const { numbers, values } = readToolLine({
  usage,
  numbers: fuzzNumbers,
  options: { only: { type: 'string' }, path: { type: 'string' }, list: { type: 'boolean' } },
});

/** Repeats one case. @returns the exit code */
async function repeat(chosen: readonly NamedProperty[], seed: number, path: string): Promise<number> {
  const [one, ...others] = chosen;
  if (one === undefined || others.length > 0) throw new UsageError('--path needs --only with the name of one property');
  const { failure } = await trySeed(one, { seed, path, cases: Number.MAX_SAFE_INTEGER });
  process.stdout.write(`${failure ?? `${one.name}: held`}\n`);
  return failure === null ? 0 : 1;
}

async function main(): Promise<number> {
  const { minutes, workers, seed } = numbers;
  const only = values.only === undefined ? undefined : String(values.only);
  const all = await allProperties();
  const chosen = all.filter(({ name }) => only === undefined || name.includes(only));
  if (chosen.length === 0) throw new UsageError(`--only ${only}: no property has this text in its name`);
  if (values.list === true) {
    process.stdout.write(chosen.map(({ name }) => `${name}\n`).join(''));
    return 0;
  }
  if (values.path !== undefined) return repeat(chosen, seed, String(values.path));
  const fuzzing = new Fuzzing(chosen, { seed, write: (line) => process.stdout.write(`${line}\n`) });
  return fuzzing.run(workers, minutes * 60_000);
}

try {
  process.exitCode = await main();
} catch (error) {
  orUsage(() => {
    throw error;
  });
}
