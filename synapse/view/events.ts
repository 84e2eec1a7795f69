import { Journal, type Stamp } from '../../common/journal.ts';

/** What kinds of things are written down. Operators filter by them: they stay as they are. */
export type EventKind =
  /** Instances of a service came, went, drain or have other fields, and HAProxy has them. */
  | 'instances'
  /** A service was taken out of the configuration. */
  | 'service_removed'
  /** A source can no longer prove that it is current. */
  | 'source_stale'
  | 'source_fresh'
  /** A service gets its instances from another of its sources now. */
  | 'source_switched'
  | 'record_rejected'
  /** Instances whose leases expired together are kept. */
  | 'guard_in_force'
  | 'guard_lifted'
  /** A configuration published in the registry cannot be used. */
  | 'published_refused'
  /** HAProxy's check refuses something; what was good before stays. */
  | 'haproxy_refused'
  /** A HAProxy worker was found and brought to what is wanted. */
  | 'haproxy_connected'
  | 'haproxy_lost'
  | 'file_written'
  | 'reload_begun'
  | 'reload_done'
  | 'reload_failed'
  /** Our own configuration was read again. */
  | 'configuration_read'
  | 'configuration_refused';

/** What something cost. */
export interface Cost {
  /** Runtime API commands. */
  readonly commands: number;
  /** Of those, the ones that failed. */
  readonly failed: number;
}

/** One thing that happened. Fields that do not apply are not there. */
export interface SynapseEvent extends Partial<Cost> {
  readonly kind: EventKind;
  readonly level: 'info' | 'warn' | 'error';
  readonly service?: string;
  /** Several services at once: the first few names. */
  readonly services?: readonly string[];
  /** Ids of instances; long lists end with how many more there are. */
  readonly added?: readonly string[];
  readonly removed?: readonly string[];
  readonly drained?: readonly string[];
  readonly changed?: readonly string[];
  /** How many instances there are now. */
  readonly instances?: number;
  /** Which record, where that is what it is about. */
  readonly where?: string;
  /** Where the change came from: the discovery method, or the name of one of several sources. */
  readonly source?: string;
  /** The registry's revision that brought it. */
  readonly revision?: string;
  readonly reason?: string;
  /** Why HAProxy is reloaded. */
  readonly reasons?: readonly string[];
  /** Of HAProxy's runtime API. */
  readonly socket?: string;
  readonly pid?: number;
  readonly bytes?: number;
  /** From the moment it was seen until it was in force; of a reload, how long it took. */
  readonly milliseconds?: number;
}

/** How many services one event names. */
const maxNamed = 10;

/** The field that says which services an event is about; none when it is about no one's in particular. */
export function about(services: readonly string[]): Pick<SynapseEvent, 'service' | 'services'> {
  const [only] = services;
  if (only === undefined) return {};
  if (services.length === 1) return { service: only };
  const more = services.length - maxNamed;
  return { services: more > 0 ? [...services.slice(0, maxNamed), `and ${more} more`] : services };
}

export type RecordedEvent = SynapseEvent & Stamp;

/** The answer of `/api/v1/events`. */
export interface EventReport {
  /** When this synapse began to write down, ISO 8601: numbers of another beginning mean nothing here. */
  readonly began: string;
  readonly last: number;
  /** Oldest first. */
  readonly events: readonly RecordedEvent[];
}

/** The journal of one synapse. */
export class Events extends Journal<SynapseEvent> {
  readonly #costs = new Map<string, Cost>();

  /** What it cost to bring the instances of a service to HAProxy: told just before that is written down. */
  cost(service: string, cost: Cost): void {
    this.#costs.set(service, cost);
  }

  /** The cost told of last, once. */
  takeCost(service: string): Cost | undefined {
    const cost = this.#costs.get(service);
    this.#costs.delete(service);
    return cost;
  }
}
