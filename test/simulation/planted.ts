import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type PlantedFault, plantedFaults } from './planted-faults.ts';
import type { SeedResult } from './run-seed.ts';

const built = fileURLToPath(new URL('../../', import.meta.url));
/** Below the repository, so that its packages are found; one for each process. */
const copy = join(built, '..', '.cache', `planted-${process.pid}`);

/**
 * Plants one fault after the other, and runs seeds until one finds it.
 * @param most how many seeds a fault gets
 * @returns the exit code: 1 when a fault was not found
 */
export async function runPlanted(
  faults: readonly PlantedFault[],
  { first, most }: { readonly first: number; readonly most: number },
): Promise<number> {
  let missed = 0;
  for (const fault of faults) {
    await plant(fault);
    const found = await seedsUntilFound(first, most);
    if (found === undefined) missed += 1;
    const verdict = found === undefined ? `NOT FOUND by ${most} seeds` : `${found.seeds} seeds: ${found.violation}`;
    process.stdout.write(`${fault.name}: ${verdict}\n`);
  }
  await rm(copy, { recursive: true, force: true });
  return missed === 0 ? 0 : 1;
}

/** Makes the copy with one fault in it. @throws when a text is not there exactly once */
async function plant(fault: PlantedFault): Promise<void> {
  await rm(copy, { recursive: true, force: true });
  await cp(built, join(copy, 'dist'), { recursive: true });
  await cp(join(dirname(built), 'package.json'), join(copy, 'package.json'));
  await writeFile(join(copy, 'dist', fault.file), await withFault(fault));
}

/** Tries whether every fault can be planted. @throws when the text of one is not there exactly once */
export async function checkPlanted(): Promise<void> {
  for (const fault of plantedFaults) await withFault(fault);
}

async function withFault({ name, file, edits }: PlantedFault): Promise<string> {
  let text = await readFile(join(built, file), 'utf8');
  for (const [from, to] of edits) {
    const count = text.split(from).length - 1;
    if (count !== 1) throw new Error(`'${name}' cannot be planted: ${file} has '${from}' ${count} times`);
    text = text.replace(from, () => to);
  }
  return text;
}

/** @returns how many seeds it took, and what was violated; undefined when none found it */
function seedsUntilFound(
  first: number,
  most: number,
): Promise<{ readonly seeds: number; readonly violation: string } | undefined> {
  const worker = new Worker(join(copy, 'dist', 'test', 'simulation', 'worker.js'));
  return new Promise((resolve, reject) => {
    let seeds = 0;
    const end = (found?: { readonly seeds: number; readonly violation: string }): void => {
      worker.terminate().then(() => resolve(found), reject);
    };
    worker.on('message', ({ violation }: SeedResult) => {
      seeds += 1;
      if (violation !== null) end({ seeds, violation: violation.split('\n')[0] ?? '' });
      else if (seeds >= most) end();
      else worker.postMessage(first + seeds);
    });
    worker.on('error', (error) => end({ seeds: seeds + 1, violation: `a crash: ${error.message}` }));
    worker.postMessage(first);
  });
}
