import { EventEmitter } from 'node:events';
import type { Scheduler, SimulatedProcess } from '../engine/scheduler.ts';
import type { SimulatedWorker } from './worker.ts';

/** Takes one line, and gives its reply. */
type Handler = (line: string, reply: (text: string) => void) => void;

/** A unix socket as synapse uses it: the part of `node:net`'s interface that it needs. */
export class RuntimeSocket extends EventEmitter {
  prompting = false;
  worker: SimulatedWorker | undefined;
  readonly #scheduler: Scheduler;
  readonly #client: SimulatedProcess;
  readonly #forget: () => void;
  #server: SimulatedProcess | undefined;
  #handle: Handler | undefined;
  #early = '';
  #rest = '';
  #over = false;

  constructor(scheduler: Scheduler, client: SimulatedProcess, forget: () => void) {
    super();
    this.#scheduler = scheduler;
    this.#client = client;
    this.#forget = forget;
  }

  setEncoding(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  accept(server: SimulatedProcess, handle: Handler, worker?: SimulatedWorker): void {
    if (this.#over) return;
    this.#server = server;
    this.#handle = handle;
    this.worker = worker;
    this.emit('connect');
    const early = this.#early;
    this.#early = '';
    if (early !== '') this.write(early);
  }

  fail(code: string, path: string): void {
    if (this.#over) return;
    this.#end();
    this.emit(
      'error',
      Object.assign(new Error(`connect ${code} ${path}`), { code, syscall: 'connect', address: path }),
    );
    this.emit('close');
  }

  write(text: string): boolean {
    if (this.#over) return true;
    if (this.#handle === undefined) {
      this.#early += text;
      return true;
    }
    this.#scheduler.at(0.03, () => this.#received(text), this.#server);
    return true;
  }

  end(text = ''): this {
    if (text !== '') this.write(text);
    return this;
  }

  destroy(): this {
    if (this.#over) return this;
    this.#end();
    queueMicrotask(() => this.emit('close'));
    return this;
  }

  /** The server closes the connection after what it has said. */
  finish(): void {
    this.#scheduler.at(
      0.05,
      () => {
        if (this.#over) return;
        this.#end();
        this.emit('end');
        this.emit('close');
      },
      this.#client,
    );
  }

  /** The server is gone. */
  reset(): void {
    this.finish();
  }

  #received(text: string): void {
    if (this.#over) return;
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      this.#handle?.(line, (reply) => this.#say(this.prompting ? `${reply}\n> ` : `${reply}\n`));
    }
  }

  #say(text: string): void {
    this.#scheduler.at(0.03, () => this.#over || this.emit('data', text), this.#client);
  }

  #end(): void {
    this.#over = true;
    this.worker = undefined;
    this.#forget();
  }
}
