import type { SimulatedServer } from './server.ts';
import type { SimulatedWorker } from './worker.ts';

/** A connection of a client, which stays with the worker that took it: over a reload too. */
export class SimulatedClient {
  readonly worker: SimulatedWorker;
  readonly backend: string;

  /** Use `SimulatedHaproxy.openClient`. */
  constructor(worker: SimulatedWorker, backend: string) {
    this.worker = worker;
    this.backend = backend;
    worker.clients.add(this);
  }

  get isOpen(): boolean {
    return this.worker.process.alive && this.worker.clients.has(this);
  }

  /**
   * Sends a request. A worker on its way out answers the first one, and closes the connection then (`option
   * idle-close-on-response`).
   * @returns the server it goes to; undefined: 503, or no answer
   */
  request(): SimulatedServer | undefined {
    if (!this.isOpen || this.worker.process.frozen) return undefined;
    const server = this.worker.choose(this.backend);
    if (this.worker.stopping) this.close();
    return server;
  }

  close(): void {
    this.worker.clients.delete(this);
  }
}
