import type { RecordOrigin } from '../../common/etcd/records/record-origin.ts';
import type { Departure } from '../source.ts';

/** How one instance left its registry. */
export interface DepartureReport {
  readonly how: Departure;
  /** Its last record, where the source knows it. */
  readonly origin?: RecordOrigin;
}

/** By service and id of the instance. */
export type DeparturesTaken = ReadonlyMap<string, ReadonlyMap<string, DepartureReport>>;

/** How instances left their registries since their service was last applied. */
export class Departures {
  #pending = new Map<string, Map<string, DepartureReport>>();

  add(service: string, id: string, report: DepartureReport): void {
    const known = this.#pending.get(service);
    if (known === undefined) this.#pending.set(service, new Map([[id, report]]));
    // What ends a lost instance knows nothing of its record: the report before it may.
    else known.set(id, { ...known.get(id), ...report });
  }

  /** Hands over those of the services that are about to be applied; undefined stands for all services. */
  take(services: Iterable<string> | undefined): DeparturesTaken {
    const taken = new Map<string, ReadonlyMap<string, DepartureReport>>();
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
      for (const [id, report] of departures) {
        if (this.#pending.get(service)?.has(id) !== true) this.add(service, id, report);
      }
    }
  }
}
