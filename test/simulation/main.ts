import { UsageError } from '../../common/cli/program.ts';
import { orUsage, readToolLine } from '../support/tool-options.ts';
import { simulationNumbers } from './numbers.ts';
import { runPlanted } from './planted.ts';
import { plantedFaults } from './planted-faults.ts';
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

/** Runs one seed, and says how it went. @returns the exit code */
async function runOne(seed: number): Promise<number> {
  const { violation, history } = await runSeed(seed);
  process.stdout.write(`${history.join('\n')}\n${violation ?? 'all properties held'}\n`);
  return violation === null ? 0 : 1;
}

const { numbers, values, words } = readToolLine({
  usage,
  numbers: simulationNumbers,
  options: { planted: { type: 'boolean' } },
  mostWords: process.argv.includes('--planted') ? 1 : 0,
});
const { seeds, first, workers, seed } = numbers;
if (values.seed !== undefined) process.exitCode = await runOne(seed);
else if (values.planted === true) {
  const [text = ''] = words;
  const chosen = orUsage(() => {
    const found = plantedFaults.filter(({ name }) => name.includes(text));
    if (found.length === 0) throw new UsageError(`--planted ${text}: no fault has this text in its name`);
    return found;
  });
  process.exitCode = await runPlanted(chosen, { first, most: values.seeds === undefined ? 1_000 : seeds });
} else process.exitCode = await runMany({ first, count: seeds, workers });
