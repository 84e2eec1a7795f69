/** Runs a limited number of tasks at a time. */
export class Semaphore {
  readonly #waiting: (() => void)[] = [];
  readonly #permits: number;
  #running = 0;

  constructor(permits: number) {
    this.#permits = permits;
  }

  /** Runs `task` as soon as fewer than `permits` tasks run; those that wait start in the order of the calls. */
  async run<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#permits) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await task();
    } finally {
      // The permit goes straight to the next task that waits: a newcomer cannot slip in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
