import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { fuzzFolder, type NamedProperty, type SeedReport } from './property.ts';
import type { Task } from './worker.ts';

/** How long the cases of one seed are tried: then another property has its turn. */
const turnMs = 10_000;
/** A case that takes longer than this has hung: an endless loop, a regular expression that backtracks, an answer that never comes. */
const longestCaseMs = 60_000;

/** What a long run knows about one property. */
interface Progress {
  readonly tried: NamedProperty;
  cases: number;
  /** Seeds that were begun. */
  seeds: number;
  /** How many threads try it now. */
  threads: number;
  /** It is not tried again after its first failure. */
  failed: boolean;
}

/** Where a long run begins and what it prints to. */
export interface FuzzingOptions {
  /** The first seed; each turn takes the next one. */
  readonly seed: number;
  readonly write: (line: string) => void;
  /** The folder that has the properties. */
  readonly folder?: string;
  /** A case that takes longer has hung, milliseconds. */
  readonly hungMs?: number;
}

/** Tries properties in turn on several threads until the time is over. */
export class Fuzzing {
  readonly #progress: readonly Progress[];
  readonly #write: (line: string) => void;
  readonly #thread: () => TestThread;
  #seed: number;
  #endsAt = 0;

  constructor(properties: readonly NamedProperty[], options: FuzzingOptions) {
    const { seed, write, folder = fuzzFolder, hungMs = longestCaseMs } = options;
    this.#progress = properties.map((tried) => ({ tried, cases: 0, seeds: 0, threads: 0, failed: false }));
    this.#seed = seed;
    this.#write = write;
    this.#thread = () => new TestThread(folder, hungMs);
  }

  /** @returns the exit code: 1 when a property failed, and 2 when one was never tried */
  async run(workers: number, durationMs: number): Promise<number> {
    this.#endsAt = performance.now() + durationMs;
    this.#write(`${this.#progress.length} properties, seeds from ${this.#seed}, ${workers} threads`);
    await Promise.all(Array.from({ length: workers }, () => this.#work()));
    for (const { tried, cases, seeds, failed } of this.#progress) {
      this.#write(`${failed ? 'FAILED' : 'held'}: ${tried.name} (${cases} cases of ${seeds} seeds)`);
    }
    if (this.#progress.some(({ failed }) => failed)) return 1;
    return this.#progress.every(({ cases }) => cases > 0) ? 0 : 2;
  }

  /** One thread after the other: a thread that hangs is ended. */
  async #work(): Promise<void> {
    let thread = this.#thread();
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { progress, seed } = next;
      const limitMs = Math.min(turnMs, Math.max(1, this.#endsAt - performance.now()));
      const task = { name: progress.tried.name, seed, cases: 1_000_000_000, limitMs };
      const report = await thread.try(task);
      if (report.hung) {
        await thread.end();
        thread = this.#thread();
      }
      progress.threads -= 1;
      progress.cases += report.cases;
      if (report.failure === null || progress.failed) continue;
      progress.failed = true;
      this.#write(`FAILED ${report.failure}`);
    }
    await thread.end();
  }

  /** The property that had the fewest turns, rather one that no thread tries now; undefined at the end. */
  #next(): { readonly progress: Progress; readonly seed: number } | undefined {
    if (performance.now() >= this.#endsAt) return undefined;
    const [progress] = this.#progress
      .filter(({ failed }) => !failed)
      .sort((a, b) => a.threads - b.threads || a.seeds - b.seeds);
    if (progress === undefined) return undefined;
    progress.threads += 1;
    progress.seeds += 1;
    return { progress, seed: this.#seed++ };
  }
}

/** A thread that tries cases. */
class TestThread {
  readonly #worker: Worker;
  readonly #ready: Promise<unknown>;
  readonly #hungMs: number;

  constructor(folder: string, hungMs: number) {
    this.#worker = new Worker(fileURLToPath(new URL('./worker.js', import.meta.url)), { workerData: folder });
    this.#ready = this.#message();
    this.#hungMs = hungMs;
  }

  async try(task: Task): Promise<SeedReport & { readonly hung: boolean }> {
    await this.#ready;
    const answer = this.#message();
    this.#worker.postMessage(task);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, (task.limitMs ?? 0) + this.#hungMs, undefined);
    });
    const report = await Promise.race([answer, late]);
    clearTimeout(timer);
    if (report !== undefined) return { ...(report as SeedReport), hung: false };
    // The answer never comes.
    answer.catch(() => {});
    const repeat = `npm run fuzz -- --only ${JSON.stringify(task.name)} --seed ${task.seed} --workers 1`;
    return {
      cases: 0,
      failure: `${task.name}\n  a case takes longer than ${this.#hungMs / 1_000} s\n  repeat: ${repeat}`,
      hung: true,
    };
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  /** The next message. @throws what the thread throws */
  #message(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const taken = (message: unknown): void => {
        this.#worker.off('error', failed);
        resolve(message);
      };
      const failed = (error: unknown): void => {
        this.#worker.off('message', taken);
        reject(error);
      };
      this.#worker.once('message', taken);
      this.#worker.once('error', failed);
    });
  }
}
