import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
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

/** Reads a number of an option. @throws when it is none, or not in the range */
function numberOf(name: string, text: string | undefined, otherwise: number): number {
  const number = text === undefined ? otherwise : Number(text);
  if (!Number.isFinite(number) || number < 0) throw new Error(`--${name} ${text}: must be a number, 0 or more`);
  return number;
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    workers: { type: 'string' },
    only: { type: 'string' },
    seed: { type: 'string' },
    path: { type: 'string' },
    list: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});

/** Repeats one case. @returns the exit code */
async function repeat(chosen: readonly NamedProperty[], seed: number, path: string): Promise<number> {
  const [one, ...others] = chosen;
  if (one === undefined || others.length > 0) throw new Error('--path needs --only with the name of one property');
  const { failure } = await trySeed(one, { seed, path, cases: Number.MAX_SAFE_INTEGER });
  process.stdout.write(`${failure ?? `${one.name}: held`}\n`);
  return failure === null ? 0 : 1;
}

async function main(): Promise<number> {
  const seed = Math.floor(numberOf('seed', values.seed, Math.floor(Math.random() * 2 ** 31)));
  const all = await allProperties();
  const chosen = all.filter(({ name }) => values.only === undefined || name.includes(values.only));
  if (chosen.length === 0) throw new Error(`--only ${values.only}: no property has this text in its name`);
  if (values.list) {
    process.stdout.write(chosen.map(({ name }) => `${name}\n`).join(''));
    return 0;
  }
  if (values.path !== undefined) return repeat(chosen, seed, values.path);
  const workers = Math.max(1, Math.floor(numberOf('workers', values.workers, availableParallelism())));
  const fuzzing = new Fuzzing(chosen, { seed, write: (line) => process.stdout.write(`${line}\n`) });
  return fuzzing.run(workers, numberOf('minutes', values.minutes, 10) * 60_000);
}

if (values.help) process.stdout.write(usage);
else process.exitCode = await main();
