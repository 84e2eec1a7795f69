import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { runPlanted } from './planted.ts';
import { runMany } from './run-many.ts';
import { runSeed } from './run-seed.ts';

const usage = `usage: npm run simulate -- [--seeds N] [--first N] [--workers N] [--seed N] [--planted [TEXT]]

Runs nerves, etcd, synapses, HAProxies and clients in virtual time, with faults that depend on a seed alone. Prints seeds
that fail, every 30 seconds how it goes, and at the end the worst that was seen.

  --seeds N    how many seeds, default 100
  --first N    the first seed, default random
  --workers N  how many at once, default one for each processor
  --seed N     one seed; prints the history of the run (SIMULATION_LOG=debug for more)
  --planted    puts known faults into a copy of the daemons, one after the other, and says how many seeds find each;
               --seeds N limits them, default 1000; a TEXT selects the faults whose names have it
`;

/** Reads a whole number of an option. @throws when it is none */
function whole(name: string, text: string | undefined, otherwise: number): number {
  const number = text === undefined ? otherwise : Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`--${name} ${text}: must be a whole number`);
  return number;
}

/** Runs one seed, and says how it went. @returns the exit code */
async function runOne(seed: number): Promise<number> {
  const { violation, history } = await runSeed(seed);
  process.stdout.write(`${history.join('\n')}\n${violation ?? 'all properties held'}\n`);
  return violation === null ? 0 : 1;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string' },
    first: { type: 'string' },
    workers: { type: 'string' },
    seed: { type: 'string' },
    planted: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
if (values.help) process.stdout.write(usage);
else if (values.seed !== undefined) process.exitCode = await runOne(whole('seed', values.seed, 0));
else {
  const first = whole('first', values.first, Math.floor(Math.random() * 2 ** 31));
  const workers = Math.max(1, whole('workers', values.workers, availableParallelism()));
  if (values.planted) process.exitCode = await runPlanted(first, whole('seeds', values.seeds, 1_000), positionals[0]);
  else process.exitCode = await runMany({ first, count: whole('seeds', values.seeds, 100), workers });
}
