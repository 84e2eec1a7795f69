import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { SeedResult } from './run-seed.ts';
import { Figures } from './world/monitors/figures.ts';

/** From one line about the progress to the next, milliseconds of real time. */
const reportEveryMs = 30_000;

/** Which seeds are run. */
export interface SeedRange {
  readonly first: number;
  readonly count: number;
  /** How many at the same time. */
  readonly workers: number;
}

/** Runs many seeds, and prints those that fail, how it goes, and at the end the worst that was seen. @returns the exit code */
export async function runMany({ first, count, workers }: SeedRange): Promise<number> {
  const progress = new Progress(count);
  let next = first;
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(fileURLToPath(new URL('./worker.js', import.meta.url)));
      const give = (): void => {
        if (next < first + count) worker.postMessage(next++);
        else void worker.terminate().then(() => resolve());
      };
      worker.on('message', (result: SeedResult) => {
        progress.take(result);
        give();
      });
      worker.on('error', reject);
      give();
    });
  await Promise.all(Array.from({ length: Math.min(workers, count) }, work));
  progress.end(first);
  return progress.failed === 0 ? 0 : 1;
}

class Progress {
  failed = 0;
  readonly #count: number;
  readonly #startedAt = performance.now();
  readonly #figures = new Figures();
  #reportedAt = performance.now();
  #done = 0;
  #virtualMs = 0;

  constructor(count: number) {
    this.#count = count;
  }

  take({ seed, violation, virtualMs, figures }: SeedResult): void {
    this.#done += 1;
    this.#virtualMs += virtualMs;
    this.#figures.merge(figures);
    if (violation !== null) {
      this.failed += 1;
      process.stdout.write(`seed ${seed}: ${violation}\n`);
    }
    if (performance.now() - this.#reportedAt < reportEveryMs) return;
    this.#reportedAt = performance.now();
    process.stdout.write(`${this.#done} of ${this.#count} seeds, ${this.failed} failed, ${this.#rate()}\n`);
  }

  end(first: number): void {
    const hours = (this.#virtualMs / 3_600_000).toFixed(1);
    process.stdout.write(
      `${this.#done} seeds from ${first}, ${this.failed} failed; ${hours} virtual hours, ${this.#rate()}\n`,
    );
    for (const line of this.#figures.lines) process.stdout.write(`  ${line}\n`);
  }

  #rate(): string {
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    const times = this.#virtualMs / 1_000 / seconds;
    return `${(this.#done / seconds).toFixed(2)} seeds a second, ${times.toFixed(0)} times real time`;
  }
}
