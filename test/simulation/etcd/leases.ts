import { failures } from './failures.ts';
import type { Member } from './member.ts';

/** How a lease ended. */
export type LeaseEnd = 'expired' | 'revoked' | 'revoked by mistake';

interface Lease {
  readonly id: string;
  readonly ttlSeconds: number;
  readonly keys: Set<string>;
  /** By the present leader's clock. */
  expiresAt: number;
  /** What each former leader remembers: when the lease would have expired without the renewals that it did not see. */
  readonly staleExpiry: Map<Member, number>;
}

/** The leases of a cluster, and the keys under them. Times are virtual milliseconds. */
export class Leases {
  readonly #all = new Map<string, Lease>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Leases that are alive, by id. */
  get all(): ReadonlyMap<string, { readonly keys: ReadonlySet<string>; readonly ttlSeconds: number }> {
    return this.#all;
  }

  has(id: string): boolean {
    return this.#all.has(id);
  }

  /** @throws {RpcFailure} when there is such a lease */
  grant(id: string, ttlSeconds: number): void {
    if (this.#all.has(id)) throw failures.leaseExists();
    const expiresAt = this.#now() + ttlSeconds * 1_000;
    this.#all.set(id, { id, ttlSeconds, keys: new Set(), expiresAt, staleExpiry: new Map() });
  }

  /** Forgets a lease. @returns its keys, sorted @throws {RpcFailure} when there is no such lease */
  remove(id: string): readonly string[] {
    const lease = this.#all.get(id);
    if (lease === undefined) throw failures.leaseNotFound();
    this.#all.delete(id);
    return [...lease.keys].sort();
  }

  /** Gives a lease its whole time again. @returns its TTL in seconds; 0 when there is no such lease */
  renew(id: string): number {
    const lease = this.#all.get(id);
    if (lease === undefined) return 0;
    lease.expiresAt = this.#now() + lease.ttlSeconds * 1_000;
    return lease.ttlSeconds;
  }

  timeToLive(id: string): { readonly ttl: number; readonly granted: number; readonly keys: readonly string[] } {
    const lease = this.#all.get(id);
    if (lease === undefined) return { ttl: -1, granted: 0, keys: [] };
    const ttl = Math.max(0, Math.floor((lease.expiresAt - this.#now()) / 1_000));
    return { ttl, granted: lease.ttlSeconds, keys: [...lease.keys].sort() };
  }

  attach(id: string, key: string): void {
    this.#all.get(id)?.keys.add(key);
  }

  detach(id: string, key: string): void {
    this.#all.get(id)?.keys.delete(key);
  }

  /** A new leader gives every lease its whole time again; the former one keeps in mind what it knew. */
  leaderChanged(former: Member | undefined): void {
    for (const lease of this.#all.values()) {
      if (former !== undefined) lease.staleExpiry.set(former, lease.expiresAt);
      lease.expiresAt = this.#now() + lease.ttlSeconds * 1_000;
    }
  }

  /** Leases whose time is over. */
  expired(): readonly string[] {
    return [...this.#all.values()].filter(({ expiresAt }) => expiresAt <= this.#now()).map(({ id }) => id);
  }

  /** Leases that a former leader takes for expired. */
  expiredFor(former: Member): readonly string[] {
    return [...this.#all.values()]
      .filter(({ staleExpiry }) => (staleExpiry.get(former) ?? Number.POSITIVE_INFINITY) <= this.#now())
      .map(({ id }) => id);
  }

  /** After a restore: leases that the snapshot does not know are gone. */
  keepOnly(known: ReadonlySet<string>): void {
    for (const id of [...this.#all.keys()]) if (!known.has(id)) this.#all.delete(id);
  }
}
