import type { Departure } from '../source.ts';

/** By service and id of the instance. */
export type DeparturesTaken = ReadonlyMap<string, ReadonlyMap<string, Departure>>;

/** How instances left their registries since their service was last applied. */
export class Departures {
  #pending = new Map<string, Map<string, Departure>>();

  add(service: string, id: string, how: Departure): void {
    const known = this.#pending.get(service);
    if (known === undefined) this.#pending.set(service, new Map([[id, how]]));
    else known.set(id, how);
  }

  /** Hands over those of the services that are about to be applied; undefined stands for all services. */
  take(services: Iterable<string> | undefined): DeparturesTaken {
    const taken = new Map<string, ReadonlyMap<string, Departure>>();
    for (const service of services ?? [...this.#pending.keys()]) {
      const departures = this.#pending.get(service);
      if (departures !== undefined) taken.set(service, departures);
      this.#pending.delete(service);
    }
    return taken;
  }

  /** Takes back what could not be applied; what was added since then counts more. */
  putBack(taken: DeparturesTaken): void {
    for (const [service, departures] of taken) {
      for (const [id, how] of departures) {
        if (this.#pending.get(service)?.has(id) !== true) this.add(service, id, how);
      }
    }
  }
}
