/** Runs one task at a time. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `task` after those of earlier calls, also when one of them failed. Settles as the task does. */
  run<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }
}
