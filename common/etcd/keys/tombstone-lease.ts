import { clock } from '../../async/clock.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { hex } from '../client/key-value.ts';
import { failureOf } from './key-operations.ts';
import { grantLease, randomLeaseId } from './lease-grant.ts';
import type { KeyEvent } from './owned-key.ts';
import { tombstoneLeaseTimes } from './timing.ts';

/** How asking for the lease ended, as the key's lifecycle takes it. */
export type TombstoneLeaseAnswer = Extract<KeyEvent, { kind: 'tombstoneLeaseGranted' | 'tombstoneLeaseFailed' }>;

/** The last leases that are remembered. Each lives for a minute at most, so older ones have ended. */
const maxRemembered = 64;

/**
 * The lease that tombstones go under. It is asked for when there is a tombstone to write, shared by those of the next
 * seconds, and never renewed or revoked: its tombstones go when it ends, also after this process.
 */
export class TombstoneLease {
  readonly #client: EtcdClient;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #recent = new Set<string>();
  #id: string | null = null;
  /** When the grant was sent, milliseconds of `clock.now()`. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<TombstoneLeaseAnswer> | undefined;

  constructor(client: EtcdClient, { log }: { readonly log: Log }, signal: AbortSignal) {
    this.#client = client;
    this.#log = log;
    this.#signal = signal;
  }

  /** The lease that a new tombstone goes under; null while one has to be asked for. */
  get id(): string | null {
    return clock.now() - this.#askedAt < tombstoneLeaseTimes.sharedMs ? this.#id : null;
  }

  /** The leases that were asked for last. */
  get recent(): ReadonlySet<string> {
    return this.#recent;
  }

  /** Asks for a lease; calls that come meanwhile share the answer. Never rejects. */
  grant(): Promise<TombstoneLeaseAnswer> {
    this.#asking ??= this.#grant().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Says that etcd does not know this lease. */
  lost(id: string): void {
    if (id === this.#id) this.#id = null;
  }

  async #grant(): Promise<TombstoneLeaseAnswer> {
    if (this.id !== null) return { kind: 'tombstoneLeaseGranted' };
    const id = randomLeaseId();
    this.#remember(id);
    const askedAt = clock.now();
    const { ttlSeconds, limits } = tombstoneLeaseTimes;
    try {
      await grantLease(this.#client, { id, ttlSeconds, limits }, this.#signal);
    } catch (error) {
      this.#log.debug('etcd granted no lease for tombstones', { reason: reasonOf(error) });
      return { kind: 'tombstoneLeaseFailed', failure: failureOf(error) };
    }
    this.#id = id;
    this.#askedAt = askedAt;
    this.#log.debug('etcd lease for tombstones granted', { lease: hex(id), ttl: ttlSeconds });
    return { kind: 'tombstoneLeaseGranted' };
  }

  #remember(id: string): void {
    this.#recent.add(id);
    for (const oldest of this.#recent) {
      if (this.#recent.size <= maxRemembered) break;
      this.#recent.delete(oldest);
    }
  }
}
