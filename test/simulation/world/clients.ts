import type { Scheduler } from '../engine/scheduler.ts';
import type { SimulatedHaproxy } from '../haproxy/haproxy.ts';
import type { Instances } from './instances.ts';

/** Why a request failed. */
export type RequestFailure =
  /** HAProxy has no server for it: 503. */
  | 'no server'
  /** HAProxy is down. */
  | 'no haproxy'
  /** The server refused, or did not answer, also at each retry. */
  | 'unreachable'
  /** The instance answered that it is sick. */
  | 'sick'
  /** Another service answered at that address. */
  | 'wrong service';

export interface FailedRequest {
  readonly at: number;
  readonly proxy: string;
  readonly service: string;
  readonly reason: RequestFailure;
  readonly address: string;
}

const retries = 3;

/** Applications on one proxy host: they ask for each service again and again, through HAProxy on localhost. */
export class Clients {
  readonly failed: FailedRequest[] = [];
  sent = 0;
  #over = false;
  /** Called when an instance of another service answered. */
  onWrongService: (service: string, address: string) => void = () => {};
  readonly #scheduler: Scheduler;
  readonly #haproxy: SimulatedHaproxy;
  readonly #instances: Instances;
  readonly #host: string;
  readonly #services: readonly string[];

  constructor(
    scheduler: Scheduler,
    options: {
      readonly host: string;
      readonly haproxy: SimulatedHaproxy;
      readonly instances: Instances;
      readonly services: readonly string[];
      readonly everyMs: number;
    },
  ) {
    this.#scheduler = scheduler;
    this.#haproxy = options.haproxy;
    this.#instances = options.instances;
    this.#host = options.host;
    this.#services = options.services;
    const again = (): void => {
      if (this.#over) return;
      for (const service of this.#services) this.#request(service);
      scheduler.at(options.everyMs * (0.5 + scheduler.random()), again);
    };
    scheduler.at(options.everyMs, again);
  }

  /** Ends the requests. */
  stop(): void {
    this.#over = true;
  }

  #request(service: string): void {
    this.sent += 1;
    const failure = this.#send(service);
    if (failure === undefined) return;
    if (failure.reason === 'wrong service') this.onWrongService(service, failure.address);
    this.failed.push({ at: this.#scheduler.now(), proxy: this.#host, service, ...failure });
  }

  /** @returns why it failed; undefined when it did not */
  #send(service: string): Pick<FailedRequest, 'reason' | 'address'> | undefined {
    let address = '';
    if (this.#haproxy.worker === undefined) return { reason: 'no haproxy', address };
    // `option redispatch` and `retries`: a refused connection is tried elsewhere.
    for (let attempt = 0; attempt <= retries; attempt += 1) {
      const server = this.#haproxy.route(service);
      if (server === undefined) return { reason: 'no server', address };
      address = server.address;
      if (this.#instances.reach(this.#host, address) !== 'answers') continue;
      const instance = this.#instances.at(address);
      if (instance?.service !== service) return { reason: 'wrong service', address };
      if (!instance.healthy) return { reason: 'sick', address };
      server.sessions += 1;
      this.#scheduler.at(5 + this.#scheduler.random() * 50, () => {
        server.sessions -= 1;
      });
      return undefined;
    }
    return { reason: 'unreachable', address };
  }
}
