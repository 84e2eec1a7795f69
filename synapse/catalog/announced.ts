import type { Instance } from '../../common/instance.ts';
import type { InstanceSet } from '../source.ts';

/** One announcement of any service. */
export interface Announcement {
  readonly service: string;
  readonly instance: Instance;
  /** etcd's id as text; undefined where the source does not know it. */
  readonly lease: string | undefined;
}

/** What is announced now, over all services. */
export interface Announced {
  readonly byAddress: ReadonlyMap<string, readonly Announcement[]>;
  /** By the name of the announcer; nameless ones are left out. */
  readonly byName: ReadonlyMap<string, readonly Announcement[]>;
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

/** Every announcement in the sets of the services that is up or drains. */
export function* announcementsIn(service: string, { instances, leases }: InstanceSet): Iterable<Announcement> {
  for (const [index, instance] of instances.entries()) {
    if (instance.state !== 'down') yield { service, instance, lease: leases?.[index] };
  }
}

/** Indexes announcements. */
export function indexAnnouncements(announcements: Iterable<Announcement>): Announced {
  const byAddress = new Map<string, Announcement[]>();
  const byName = new Map<string, Announcement[]>();
  const leases = new Set<string>();
  const add = (index: Map<string, Announcement[]>, key: string, one: Announcement): void => {
    const known = index.get(key);
    if (known === undefined) index.set(key, [one]);
    else known.push(one);
  };
  for (const one of announcements) {
    add(byAddress, addressOf(one.instance), one);
    if (one.instance.name !== '') add(byName, one.instance.name, one);
    leases.add(one.lease ?? pseudoLease(one.instance));
  }
  return { byAddress, byName, leases: leases.size };
}
