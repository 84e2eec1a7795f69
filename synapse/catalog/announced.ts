import type { Instance } from '../../common/instance.ts';
import { addTo, removeFrom } from '../../common/map-of-sets.ts';
import type { InstanceSet } from '../source.ts';

/** One announcement of any service, or a record that says `down`: a withdrawn announcement. */
export interface Announcement {
  readonly service: string;
  readonly instance: Instance;
  /** etcd's id as text; undefined where the source does not know it. */
  readonly lease: string | undefined;
  /** When it appeared, as a growing number (`InstanceSet.sequence`); undefined where the source does not know it. */
  readonly sequence: number | undefined;
  /** Where it is announced; null where the source knows no keys. */
  readonly key: string | null;
}

/** What is announced now, over all services. */
export interface Announced {
  readonly byAddress: ReadonlyMap<string, ReadonlySet<Announcement>>;
  /** By the name of the announcer; nameless ones are left out. */
  readonly byName: ReadonlyMap<string, ReadonlySet<Announcement>>;
  /** Withdrawn announcements by address, while their records say `down`. */
  readonly withdrawn: ReadonlyMap<string, ReadonlySet<Announcement>>;
  /** How many leases all announcements have; a host stands for a lease that is not known. */
  readonly leases: number;
}

/** Where an instance listens, as announced. */
export function addressOf({ host, port }: Instance): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What stands for the lease of an instance whose source knows none: one host has one announcer. */
export function pseudoLease({ host }: Instance): string {
  return `of ${host}`;
}

/** Every record in the set of a service. */
export function* recordsIn(service: string, set: InstanceSet): Iterable<Announcement> {
  const { instances, leases, sequence, origins } = set;
  for (const [index, instance] of instances.entries()) {
    const key = origins?.[index]?.key ?? null;
    yield { service, instance, lease: leases?.[index], sequence: sequence?.[index], key };
  }
}

/** Every record in the set of a service that is up or drains. */
export function* announcementsIn(service: string, set: InstanceSet): Iterable<Announcement> {
  for (const record of recordsIn(service, set)) if (!isWithdrawn(record)) yield record;
}

function isWithdrawn({ instance }: Announcement): boolean {
  return instance.state === 'down';
}

/** Announcements by address, name and lease. A new set of a service changes only what differs from its previous one. */
export class AnnouncedIndex implements Announced {
  readonly byAddress = new Map<string, Set<Announcement>>();
  readonly byName = new Map<string, Set<Announcement>>();
  readonly withdrawn = new Map<string, Set<Announcement>>();
  /** How many announcements each lease has. */
  readonly #byLease = new Map<string, number>();
  readonly #ofService = new Map<string, Map<Instance, Announcement>>();

  get leases(): number {
    return this.#byLease.size;
  }

  /** Takes the records of a service, in place of those before. */
  take(service: string, records: Iterable<Announcement>): void {
    const before = new Map(this.#ofService.get(service));
    const after = new Map<Instance, Announcement>();
    for (const one of records) {
      const { instance, lease, sequence } = one;
      if (after.has(instance)) continue;
      const known = before.get(instance);
      const isSame =
        known !== undefined && known.lease === lease && known.sequence === sequence && known.key === one.key;
      after.set(instance, isSame ? known : one);
      if (isSame) before.delete(instance);
      else this.#add(one);
    }
    for (const gone of before.values()) this.#remove(gone);
    this.#ofService.set(service, after);
  }

  #add(one: Announcement): void {
    const { instance } = one;
    if (isWithdrawn(one)) {
      addTo(this.withdrawn, addressOf(instance), one);
      return;
    }
    addTo(this.byAddress, addressOf(instance), one);
    if (instance.name !== '') addTo(this.byName, instance.name, one);
    const lease = leaseOf(one);
    this.#byLease.set(lease, (this.#byLease.get(lease) ?? 0) + 1);
  }

  #remove(one: Announcement): void {
    const { instance } = one;
    if (isWithdrawn(one)) {
      removeFrom(this.withdrawn, addressOf(instance), one);
      return;
    }
    removeFrom(this.byAddress, addressOf(instance), one);
    removeFrom(this.byName, instance.name, one);
    const lease = leaseOf(one);
    const left = (this.#byLease.get(lease) ?? 0) - 1;
    if (left > 0) this.#byLease.set(lease, left);
    else this.#byLease.delete(lease);
  }
}

/**
 * Another service that was announced at the address of a lost instance since that was announced, and was withdrawn: what
 * answers there may be that service. Undefined when there is none, or when the order is not known.
 */
export function withdrawnSince(
  service: string,
  { instance, sequence }: { readonly instance: Instance; readonly sequence?: number | undefined },
  withdrawn: Announced['withdrawn'],
): string | undefined {
  if (sequence === undefined) return undefined;
  const later = [...(withdrawn.get(addressOf(instance)) ?? [])].find(
    (other) => other.service !== service && (other.sequence ?? 0) > sequence,
  );
  return later?.service;
}

function leaseOf({ lease, instance }: Announcement): string {
  return lease ?? pseudoLease(instance);
}
