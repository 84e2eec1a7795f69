import type { SimulatedEtcd } from '../../etcd/cluster.ts';
import type { Committed, StoredKeyValue } from '../../etcd/store.ts';

/** The keys of all services. */
export const servicesRange = { key: '/nerve/services/', end: '/nerve/services0' } as const;

/** One record, as far as the properties need it. */
export interface SimulatedRecord {
  readonly service: string;
  readonly address: string;
  readonly state: 'up' | 'drain' | 'down';
  readonly isUp: boolean;
}

/** Records that were read before, by their values, which never change. */
const known = new WeakMap<Buffer, { readonly record: SimulatedRecord | undefined }>();

/** Reads a record. @returns undefined when synapse would not take it */
export function readRecord(kv: Pick<StoredKeyValue, 'key' | 'value'>): SimulatedRecord | undefined {
  let read = known.get(kv.value);
  if (read === undefined) {
    read = { record: parseRecord(kv) };
    known.set(kv.value, read);
  }
  return read.record;
}

function parseRecord({ key, value }: Pick<StoredKeyValue, 'key' | 'value'>): SimulatedRecord | undefined {
  const [, , , service = '', id = ''] = key.split('/');
  try {
    const { name, host, port, state } = JSON.parse(value.toString()) as Readonly<Record<string, unknown>>;
    // A record is taken under its own name only.
    if (id !== `${name}_${host}:${port}`) return undefined;
    if (state !== undefined && state !== 'drain' && state !== 'down') return undefined;
    return { service, address: `${host}:${port}`, state: state ?? 'up', isUp: state === undefined };
  } catch {
    return undefined;
  }
}

/** A lease that ends sooner may be gone when synapse asks for it. */
const livesForSeconds = 3;

/** How an announcement ended. */
export type AnnouncementEnd =
  /** In order: its record said so, or it was deleted while its lease lived or without a lease. */
  | 'withdrawn'
  /** Its lease is gone. */
  | 'lost';

/** What etcd says of one address in one service. */
export interface AnnouncementFacts {
  readonly isUp: boolean;
  /** Since when, in virtual milliseconds. */
  readonly since: number;
  /** How it ended the last time; undefined while it is up, or was never announced. */
  readonly end: AnnouncementEnd | undefined;
  /** It was deleted while its lease lived: readers that ask about the lease in time take it for withdrawn. */
  readonly wasDeleted: boolean;
}

/** Follows all announcements in etcd: which address is announced for which service, since when, and how that ended. */
export class Announcements {
  readonly #etcd: SimulatedEtcd;
  readonly #now: () => number;
  /** Keys with a record that is up → that record. */
  readonly #up = new Map<string, SimulatedRecord & { readonly lease: string }>();
  /** `service address` → what is known of it. */
  readonly #facts = new Map<string, AnnouncementFacts>();
  /** Service → since when it has had an announcement. */
  readonly #services = new Map<string, number>();
  /** Lease → announcements that were deleted without a tombstone while it lived. */
  readonly #deleted = new Map<string, SimulatedRecord[]>();

  constructor(etcd: SimulatedEtcd, now: () => number) {
    this.#etcd = etcd;
    this.#now = now;
  }

  of(service: string, address: string): AnnouncementFacts {
    return this.#facts.get(`${service} ${address}`) ?? { isUp: false, since: 0, end: undefined, wasDeleted: false };
  }

  /** Since when a service has had an announcement; infinity while it has none: then synapse keeps its last servers. */
  serviceSince(service: string): number {
    return this.#services.get(service) ?? Number.POSITIVE_INFINITY;
  }

  /** Since when another service has been announced at an address; undefined when none is. */
  otherSince(service: string, address: string): number | undefined {
    const others = [...this.#up.values()].filter((one) => one.address === address && one.service !== service);
    return others.length === 0 ? undefined : Math.min(...others.map((one) => this.of(one.service, address).since));
  }

  /** Announcements that were lost and have not come back: `service address` → when, in virtual milliseconds. */
  get lost(): ReadonlyMap<string, number> {
    const lost = [...this.#facts].filter(([, { end }]) => end === 'lost');
    return new Map(lost.map(([at, { since }]) => [at, since]));
  }

  take({ events }: Committed): void {
    for (const { type, key, kv } of events) {
      if (!key.startsWith(servicesRange.key)) continue;
      const before = this.#up.get(key);
      const record = type === 'put' ? readRecord(kv) : undefined;
      if (record?.isUp) this.#up.set(key, { ...record, lease: kv.lease });
      else this.#up.delete(key);
      if (before !== undefined && type === 'put') this.#settle(before, endBy(before, record));
      else if (before !== undefined) this.#settle(before, this.#endOf(before.lease), this.#lives(before.lease));
      else if (record !== undefined && !record.isUp) this.#farewell(record);
      if (record?.isUp) this.#settle(record, undefined);
      if (before !== undefined && type === 'delete') {
        this.#deleted.set(before.lease, [...(this.#deleted.get(before.lease) ?? []), before]);
      }
      this.#count((before ?? record)?.service);
    }
  }

  /** A reader that was away when a key was deleted without a tombstone takes it for lost once its lease is over. */
  leaseEnded(lease: string): void {
    for (const { service, address } of this.#deleted.get(lease) ?? []) {
      const facts = this.of(service, address);
      if (facts.isUp || facts.end !== 'withdrawn') continue;
      this.#facts.set(`${service} ${address}`, { ...facts, end: 'lost', wasDeleted: true });
    }
    this.#deleted.delete(lease);
  }

  /** A tombstone under a key that had no announcement: one that was lost is withdrawn now. */
  #farewell({ service, address }: SimulatedRecord): void {
    const known = this.of(service, address);
    if (!known.isUp && known.end === 'lost') {
      this.#facts.set(`${service} ${address}`, {
        isUp: false,
        since: this.#now(),
        end: 'withdrawn',
        wasDeleted: false,
      });
    }
  }

  #count(service: string | undefined): void {
    if (service === undefined) return;
    const isThere = [...this.#up.values()].some((one) => one.service === service);
    if (!isThere) this.#services.delete(service);
    else if (!this.#services.has(service)) this.#services.set(service, this.#now());
  }

  #settle({ service, address }: SimulatedRecord, end: AnnouncementEnd | undefined, wasDeleted = false): void {
    const isUp = [...this.#up.values()].some((one) => one.service === service && one.address === address);
    const known = this.of(service, address);
    if (known.isUp === isUp) return;
    this.#facts.set(`${service} ${address}`, {
      isUp,
      since: this.#now(),
      end: isUp ? undefined : end,
      wasDeleted: !isUp && wasDeleted,
    });
  }

  #lives(lease: string): boolean {
    return lease === '0' || this.#etcd.timeToLive(lease).ttl > 0;
  }

  #endOf(lease: string): AnnouncementEnd {
    return lease === '0' || this.#etcd.timeToLive(lease).ttl >= livesForSeconds ? 'withdrawn' : 'lost';
  }
}

/** What replaced an announcement: a tombstone, or something that no nerve wrote. */
function endBy(before: SimulatedRecord, record: SimulatedRecord | undefined): AnnouncementEnd {
  return record !== undefined && !record.isUp && record.address === before.address ? 'withdrawn' : 'lost';
}
