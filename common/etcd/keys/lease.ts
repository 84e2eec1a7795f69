import { onAbort } from '../../async/abort.ts';
import { jittered } from '../../async/backoff.ts';
import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import { TroubleLog } from '../../daemon/trouble-log.ts';
import type { EtcdClient } from '../client/client.ts';
import { EtcdError, isLeaseNotFound } from '../client/errors.ts';
import { hex } from '../client/key-value.ts';
import { Keepalive } from './keepalive.ts';
import { grantLease, randomLeaseId } from './lease-grant.ts';
import { leaseRenewals, leasesLost } from './metrics.ts';
import { leaseBackoff, renewalAttemptMs, renewalWaitMs } from './timing.ts';

const trouble = {
  begins: 'etcd lease cannot be kept alive, retrying',
  goesOn: 'etcd lease still cannot be kept alive',
  ends: 'etcd lease is kept alive again',
};

/** What a lease holder needs, and its callback. */
export interface LeaseHolderDeps {
  readonly log: Log;
  /** Called when there is a new lease: everything has to be put under it. */
  readonly onGranted: () => void;
}

/**
 * Holds one lease at a time, and asks for another when etcd loses it. Renewals stop when `signal` aborts; the lease then
 * lives for its TTL. How often it is renewed: `timing.ts`.
 */
export class LeaseHolder {
  readonly #client: EtcdClient;
  readonly #askedTtlSeconds: number;
  readonly #deps: LeaseHolderDeps;
  readonly #signal: AbortSignal;
  readonly #keepalive: Keepalive;
  readonly #trouble: TroubleLog;
  readonly #owned = new Set<string>();
  /** Leases that {@link rotate} replaced and that may still have keys. */
  readonly #replaced = new Set<string>();
  #id: string | null = null;
  /** What etcd granted, which may be more than was asked for. */
  #ttlSeconds: number;
  /** When the last renewal that was answered had been sent: from then on the lease has its TTL. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #reason: string | null = null;
  /** Ends the wait for the next renewal. */
  #wake = new AbortController();

  constructor(
    client: EtcdClient,
    { ttlSeconds }: { readonly ttlSeconds: number },
    deps: LeaseHolderDeps,
    signal: AbortSignal,
  ) {
    this.#client = client;
    this.#askedTtlSeconds = ttlSeconds;
    this.#ttlSeconds = ttlSeconds;
    this.#deps = deps;
    this.#signal = signal;
    this.#trouble = new TroubleLog(trouble, deps);
    this.#keepalive = new Keepalive(client, signal);
  }

  /** Begins to hold a lease; to be called once. */
  start(): void {
    void this.#run();
  }

  /** The lease that keys go under; null while there is none. */
  get id(): string | null {
    return this.#id;
  }

  /** Granted, and renewed less than its TTL ago by our clock. */
  get held(): boolean {
    return this.#id !== null && clock.now() - this.#renewedAt < this.#ttlSeconds * 1_000;
  }

  /** Every lease that this holder ever asked for. */
  get owned(): ReadonlySet<string> {
    return this.#owned;
  }

  /** Why the lease could not be granted or renewed the last time; null when it was. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Says that etcd does not know this lease any more. */
  lost(id: string): void {
    this.#replaced.delete(id);
    if (id !== this.#id) return;
    leasesLost.inc();
    this.#deps.log.warn('etcd lease lost, asking for another', { lease: hex(id) });
    this.#id = null;
    this.#wake.abort();
  }

  /** Asks for a new lease, because a write under the present one may still be on its way. */
  rotate(): void {
    const id = this.#id;
    if (id === null) return;
    this.#deps.log.info('etcd lease is replaced, because a late write under it must not count', { lease: hex(id) });
    this.#replaced.add(id);
    this.#id = null;
    this.#wake.abort();
  }

  /** Revokes the leases that {@link rotate} replaced and that no key is under any more. */
  revokeReplaced(isInUse: (id: string) => boolean): void {
    for (const id of [...this.#replaced]) {
      if (isInUse(id)) continue;
      this.#replaced.delete(id);
      this.#revoke(id, 8_000, this.#signal).catch((error: unknown) => {
        this.#deps.log.debug('etcd lease could not be revoked', { lease: hex(id), reason: reasonOf(error) });
        this.#replaced.add(id);
      });
    }
  }

  /** Revokes all leases, in at most `timeoutMs`. The keys under them go with them. */
  async revokeAll(timeoutMs: number): Promise<void> {
    const all = this.#id === null ? [...this.#replaced] : [this.#id, ...this.#replaced];
    this.#id = null;
    await Promise.all(all.map((id) => this.#revoke(id, timeoutMs)));
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#signal.aborted) {
      try {
        if (this.#id === null) await this.#grant();
        else await this.#renew();
        this.#trouble.remove('lease');
        failures = 0;
        this.#reason = null;
        if (this.#id !== null) await this.#wait(renewalWaitMs(this.#ttlSeconds) - (clock.now() - this.#renewedAt));
      } catch (error) {
        if (this.#signal.aborted) break;
        this.#reason = reasonOf(error);
        this.#trouble.add('lease', { reason: this.#reason });
        // Renewed on even when it has expired by our clock: a new leader gives every lease its full time again.
        await this.#wait(jittered(leaseBackoff, failures));
        failures += 1;
      }
    }
    this.#keepalive.close();
  }

  async #grant(): Promise<void> {
    const id = randomLeaseId();
    this.#owned.add(id);
    const sentAt = clock.now();
    this.#ttlSeconds = await grantLease(this.#client, { id, ttlSeconds: this.#askedTtlSeconds }, this.#signal);
    this.#id = id;
    this.#renewedAt = sentAt;
    this.#deps.log.info('etcd lease granted', { lease: hex(id), ttl: this.#ttlSeconds });
    this.#deps.onGranted();
  }

  /** Renews once, trying one member after the other without a pause between them. */
  async #renew(): Promise<void> {
    for (let tries = 1; this.#id !== null && !this.#signal.aborted; tries += 1) {
      const id: string = this.#id;
      const sentAt = clock.now();
      try {
        const left = await this.#keepalive.renew(id, renewalAttemptMs(this.#ttlSeconds));
        if (left <= 0) this.lost(id);
        else if (id === this.#id) {
          this.#renewedAt = sentAt;
          leaseRenewals.inc();
        }
        return;
      } catch (error) {
        if (tries >= this.#client.hosts.length) throw error;
        this.#deps.log.debug('etcd keepalive failed, trying another member', { reason: reasonOf(error) });
      }
    }
  }

  async #wait(delayMs: number): Promise<void> {
    const wake = new AbortController();
    this.#wake = wake;
    const release = onAbort(this.#signal, () => wake.abort());
    await sleep(Math.max(0, delayMs), wake.signal);
    release();
  }

  async #revoke(id: string, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    try {
      const limits = { totalMs: timeoutMs, attemptMs: 1_000 };
      await this.#client.call((rpc) => rpc.lease.leaseRevoke({ ID: id }), limits, signal);
    } catch (error) {
      if (!(error instanceof EtcdError && isLeaseNotFound(error))) throw error;
    }
  }
}
