import { sleep } from '../../../common/async/sleep.ts';

/** The pause between two requests, milliseconds. */
const pauseMs = 20;
/** More failures say nothing new. */
const mostFailures = 10;

/** Asks a port of this machine again and again, over connections of their own, and keeps what goes wrong. */
export class Visitor {
  readonly failures: string[] = [];
  readonly #end = new AbortController();
  readonly #running: Promise<void>;

  /** `expected`: the right answer. */
  constructor(port: number, expected: string) {
    this.#running = this.#run(port, expected);
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  async #run(port: number, expected: string): Promise<void> {
    while (!this.#end.signal.aborted) {
      const answer = await this.#ask(port);
      if (answer !== expected && this.failures.length < mostFailures) this.failures.push(answer);
      await sleep(pauseMs, this.#end.signal);
    }
  }

  async #ask(port: number): Promise<string> {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
      return await response.text();
    } catch (error) {
      return `${error} ${(error as Error).cause ?? ''}`;
    }
  }
}
