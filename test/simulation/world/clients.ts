import type { Scheduler } from '../engine/scheduler.ts';
import type { SimulatedClient } from '../haproxy/client.ts';
import type { SimulatedHaproxy } from '../haproxy/haproxy.ts';
import type { SimulatedServer } from '../haproxy/server.ts';
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
/** The share of long requests, and how long they last at most, milliseconds. */
const long = { share: 0.03, mostMs: 15_000 } as const;
/** The longest time between two requests on a connection that is kept open, and the chance that a request is the last one. */
const keptOpen = { mostIdleMs: 6_000, lastShare: 0.1 } as const;

/** What clients are made from. */
export interface ClientsOptions {
  readonly host: string;
  readonly haproxy: SimulatedHaproxy;
  readonly instances: Instances;
  readonly services: readonly string[];
  readonly everyMs: number;
  /** Some requests are long, and some connections are kept open for the next request: also over reloads. */
  readonly lasting: boolean;
}

/** Applications on one proxy host: they ask for each service again and again, through HAProxy on localhost. */
export class Clients {
  readonly failed: FailedRequest[] = [];
  sent = 0;
  #over = false;
  /** Called when an instance of another service answered. */
  onWrongService: (service: string, address: string) => void = () => {};
  /** Called with each server that HAProxy chose for a request. */
  onChosen: (service: string, address: string) => void = () => {};
  readonly #scheduler: Scheduler;
  readonly #haproxy: SimulatedHaproxy;
  readonly #instances: Instances;
  readonly #host: string;
  readonly #services: readonly string[];
  readonly #lasting: boolean;
  readonly #open = new Set<SimulatedClient>();

  constructor(scheduler: Scheduler, options: ClientsOptions) {
    this.#scheduler = scheduler;
    this.#haproxy = options.haproxy;
    this.#instances = options.instances;
    this.#host = options.host;
    this.#services = options.services;
    this.#lasting = options.lasting;
    if (options.lasting) for (const service of options.services) this.#keepOpen(service);
    const again = (): void => {
      if (this.#over) return;
      for (const service of this.#services) this.#request(service);
      scheduler.at(options.everyMs * (0.5 + scheduler.random()), again);
    };
    scheduler.at(options.everyMs, again);
  }

  /** Ends the requests, and closes the connections that are kept open. */
  stop(): void {
    this.#over = true;
    for (const client of this.#open) client.close();
  }

  /** Connects again and again, and sends requests over the connection until either side closes it. */
  #keepOpen(service: string, client?: SimulatedClient): void {
    const afterMs = 50 + this.#scheduler.random() ** 2 * keptOpen.mostIdleMs;
    this.#scheduler.at(afterMs, () => {
      if (this.#over) return;
      const used = client ?? this.#haproxy.openClient(service);
      if (used === undefined) {
        this.#keepOpen(service);
        return;
      }
      this.#open.add(used);
      this.#request(service, used);
      if (this.#scheduler.random() < keptOpen.lastShare) used.close();
      if (!used.isOpen) this.#open.delete(used);
      this.#keepOpen(service, used.isOpen ? used : undefined);
    });
  }

  /** Sends a request: over an open connection, or another one. */
  #request(service: string, client?: SimulatedClient): void {
    this.sent += 1;
    const failure = this.#send(service, client);
    if (failure === undefined) return;
    if (failure.reason === 'wrong service') this.onWrongService(service, failure.address);
    this.failed.push({ at: this.#scheduler.now(), proxy: this.#host, service, ...failure });
  }

  /** @returns why it failed; undefined when it did not */
  #send(service: string, client?: SimulatedClient): Pick<FailedRequest, 'reason' | 'address'> | undefined {
    let address = '';
    const choose = (): SimulatedServer | undefined => client?.request() ?? this.#haproxy.route(service);
    if (this.#haproxy.worker === undefined) return { reason: 'no haproxy', address };
    // `option redispatch` and `retries`: a refused connection is tried elsewhere.
    for (let attempt = 0; attempt <= retries; attempt += 1) {
      const server = choose();
      if (server === undefined) return { reason: 'no server', address };
      address = server.address;
      this.onChosen(service, address);
      if (this.#instances.reach(this.#host, address) !== 'answers') continue;
      const instance = this.#instances.at(address);
      if (instance?.service !== service) return { reason: 'wrong service', address };
      if (!instance.healthy) return { reason: 'sick', address };
      server.sessions += 1;
      this.#scheduler.at(this.#lastsMs(), () => {
        server.sessions -= 1;
      });
      return undefined;
    }
    return { reason: 'unreachable', address };
  }

  /** How long a request lasts. */
  #lastsMs(): number {
    if (this.#lasting && this.#scheduler.random() < long.share) return this.#scheduler.random() * long.mostMs;
    return 5 + this.#scheduler.random() * 50;
  }
}
