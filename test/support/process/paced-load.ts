import { Agent, request } from 'node:http';

/** One request of a {@link PacedLoad}, and how it went. */
export interface SentRequest {
  /** When it was sent, in milliseconds of `performance.now()`. */
  readonly at: number;
  readonly tookMs: number;
  /** `failed`: no answer, or none with status 200; `wrong`: a service answered that was not asked. */
  readonly outcome: 'answered' | 'failed' | 'wrong';
  /** What the answer was, or the error. */
  readonly detail: string;
}

/** What a load asks. */
export interface PacedLoadOptions {
  /** A port of loopback. */
  readonly port: number;
  /** Every right answer begins with this. */
  readonly service: string;
  /** Requests a second; they are sent at this rate however long the answers take. */
  readonly perSecond: number;
}

/** How long a client waits for an answer, in milliseconds. */
const clientTimeoutMs = 30_000;

/** Sends requests at a fixed rate, and records each. */
export class PacedLoad {
  readonly #options: PacedLoadOptions;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #done: SentRequest[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #countedFrom = 0;

  /** Sends nothing yet. */
  constructor(options: PacedLoadOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#send(), 1_000 / this.#options.perSecond);
  }

  /** Requests that are sent from now on are counted, and no others. */
  count(): void {
    this.#countedFrom = performance.now();
  }

  /** The counted requests that have ended. */
  get counted(): readonly SentRequest[] {
    return this.#done.filter(({ at }) => at >= this.#countedFrom);
  }

  /** Sends no more requests, and resolves when the last one has ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    this.#agent.destroy();
  }

  #send(): void {
    const at = performance.now();
    const sent = this.#ask().then(({ outcome, detail }) => {
      this.#done.push({ at, tookMs: performance.now() - at, outcome, detail });
      this.#underWay.delete(sent);
    });
    this.#underWay.add(sent);
  }

  #ask(): Promise<Pick<SentRequest, 'outcome' | 'detail'>> {
    const { port, service } = this.#options;
    return new Promise((resolve) => {
      const fail = (error: Error): void => resolve({ outcome: 'failed', detail: error.message });
      const sent = request({ host: '127.0.0.1', port, agent: this.#agent, timeout: clientTimeoutMs }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('error', fail).on('end', () => {
          if (response.statusCode !== 200) resolve({ outcome: 'failed', detail: `status ${response.statusCode}` });
          else resolve({ outcome: body.startsWith(`${service} `) ? 'answered' : 'wrong', detail: body });
        });
      });
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${clientTimeoutMs} ms`)));
      sent.on('error', fail).end();
    });
  }
}
