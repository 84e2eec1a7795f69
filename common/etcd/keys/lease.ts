import { randomBytes } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from 'etcd3/lib/rpc.js';
import { clock, type Timer } from '../../async/clock.ts';
import { jittered, sleep } from '../../async/supervise.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient, OpenStream } from '../client/client.ts';
import { EtcdError, etcdError } from '../client/errors.ts';
import { hex } from '../client/key-value.ts';
import { leaseRenewals, leasesLost } from './metrics.ts';

/** Holds a lease for as long as it is wanted: one after the other, when etcd loses one. */
export interface LeaseHolder {
  /** The lease that keys are to be put under; null while there is none. */
  readonly id: string | null;
  /** Granted, and renewed less than its TTL ago by our clock. */
  readonly held: boolean;
  /** True for every lease this holder ever asked for. */
  owns(id: string): boolean;
  /** Says that etcd does not know this lease any more. */
  lost(id: string): void;
  /** Moves on to a new lease, because a write under the present one may still be on its way. */
  rotate(): void;
  /** Gives up the leases that {@link rotate} left, once nothing is under them any more. */
  revokeOld(): void;
  /** Revokes all leases, in at most `timeout` ms. The keys under them go with them. */
  revokeAll(timeout: number): Promise<void>;
  readonly lastError: string | null;
}

export interface LeaseHolderDeps {
  readonly log: Log;
  /** There is a lease, a new one: everything is to be put under it. */
  readonly onGranted: () => void;
}

/** Starts to hold a lease of `ttl` seconds. Renewals stop when `signal` aborts; the lease then lives for its TTL. */
export function holdLease(
  client: EtcdClient,
  options: { readonly ttl: number },
  deps: LeaseHolderDeps,
  signal: AbortSignal,
): LeaseHolder {
  const { log, onGranted } = deps;
  const keepalive = createKeepalive(client, signal);
  const owned = new Set<string>();
  const old = new Set<string>();
  /** Seconds; etcd may grant more than was asked for. */
  let ttl = options.ttl;
  let id: string | null = null;
  /** When the last renewal that was answered had been sent: from then the lease has its TTL. */
  let renewedAt = Number.NEGATIVE_INFINITY;
  let lastError: string | null = null;
  let pause = new AbortController();

  const grant = async (): Promise<void> => {
    const wanted = randomLeaseId();
    owned.add(wanted);
    const sentAt = clock.now();
    const granted = await client.call(
      async (rpc) => {
        try {
          return Number((await rpc.lease.leaseGrant({ TTL: options.ttl, ID: wanted })).TTL);
        } catch (error) {
          // The id is ours alone: an earlier try got through, only its answer did not.
          if (error instanceof EtcdError && /lease already exists/.test(error.details)) return options.ttl;
          throw error;
        }
      },
      {},
      signal,
    );
    id = wanted;
    ttl = granted;
    renewedAt = sentAt;
    log.info('etcd lease granted', { lease: hex(wanted), ttl });
    onGranted();
  };

  const lost = (which: string): void => {
    old.delete(which);
    if (which !== id) return;
    leasesLost.inc();
    log.warn('etcd lease lost, asking for another', { lease: hex(which) });
    id = null;
    pause.abort();
  };

  /** One renewal, on one member after the other without a pause between them. */
  const renew = async (): Promise<void> => {
    const attempt = Math.min(1_500, (ttl * 1_000) / 6);
    for (let tries = 1; id !== null && !signal.aborted; tries += 1) {
      const which: string = id;
      const sentAt = clock.now();
      try {
        const left = await keepalive.renew(which, attempt);
        if (left <= 0) lost(which);
        else if (which === id) {
          renewedAt = sentAt;
          leaseRenewals.inc();
        }
        return;
      } catch (error) {
        if (tries >= client.hosts.length) throw error;
        log.debug('etcd keepalive failed, trying another member', { reason: reasonOf(error) });
      }
    }
  };

  const nap = async (milliseconds: number): Promise<void> => {
    pause = new AbortController();
    const onAbort = (): void => pause.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    await sleep(Math.max(0, milliseconds), pause.signal);
    signal.removeEventListener('abort', onAbort);
  };

  const revoke = async (which: string, timeout: number, abort?: AbortSignal): Promise<void> => {
    try {
      await client.call((rpc) => rpc.lease.leaseRevoke({ ID: which }), { totalMs: timeout, attemptMs: 1_000 }, abort);
    } catch (error) {
      if (!(error instanceof EtcdError && isLeaseNotFound(error))) throw error;
    }
  };

  const run = async (): Promise<void> => {
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (id === null) await grant();
        else await renew();
        if (failures > 0) log.info('etcd lease is kept alive again', { failures });
        failures = 0;
        lastError = null;
        if (id !== null) await nap(renewalPause(ttl) - (clock.now() - renewedAt));
      } catch (error) {
        if (signal.aborted) break;
        lastError = reasonOf(error);
        if (failures === 0) log.warn('etcd lease cannot be kept alive, retrying', { reason: lastError });
        // Expired by our clock or not, it is renewed on: a new leader gives every lease its full time again.
        await nap(jittered({ min: 100, max: 1_000 }, failures));
        failures += 1;
      }
    }
    keepalive.close();
  };
  void run();

  return {
    get id() {
      return id;
    },
    get held() {
      return id !== null && clock.now() - renewedAt < ttl * 1_000;
    },
    owns: (which) => owned.has(which),
    lost,
    rotate() {
      if (id === null) return;
      log.info('etcd lease is replaced, a late write under it must not count', { lease: hex(id) });
      old.add(id);
      id = null;
      pause.abort();
    },
    revokeOld() {
      for (const which of old) {
        old.delete(which);
        revoke(which, 8_000, signal).catch((error: unknown) => {
          log.debug('etcd lease could not be revoked', { lease: hex(which), reason: reasonOf(error) });
          old.add(which);
        });
      }
    },
    async revokeAll(timeout) {
      const all = id === null ? [...old] : [id, ...old];
      id = null;
      await Promise.all(all.map((which) => revoke(which, timeout)));
    },
    get lastError() {
      return lastError;
    },
  };
}

/**
 * A third of the TTL, as etcd's own clients do; a quarter of a short one, which must outlast an election. A little more
 * or less, so that a fleet that started together does not renew at one instant for ever. Milliseconds.
 */
function renewalPause(ttl: number): number {
  const jitter = clock.random() * 0.2;
  return ttl < 10 ? ttl * 250 * (1 - jitter) : ((ttl * 1_000) / 3) * (1.1 - jitter);
}

/** True when etcd does not know the lease: expired, revoked, or never granted. */
export function isLeaseNotFound(error: EtcdError): boolean {
  return /requested lease not found/.test(error.details);
}

/** Chosen by us, so that a grant can be sent again without making a second lease. 63 bits: etcd's ids are signed. */
function randomLeaseId(): string {
  return String((randomBytes(8).readBigUInt64BE() >> 1n) | 1n);
}

/** Renews leases over one stream; a new one on another member after a failure. */
export interface Keepalive {
  /**
   * Renews once.
   * @returns seconds the lease has from when this was called, at least; 0 or less when etcd does not know it
   * @throws {EtcdError} when no answer came within `timeout` ms; the next call uses another member
   */
  renew(id: string, timeout: number): Promise<number>;
  /** Ends the stream. */
  close(): void;
}

type KeepaliveStream = OpenStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;

/** Makes a keepalive; opens its stream at the first renewal. */
export function createKeepalive(client: EtcdClient, signal: AbortSignal): Keepalive {
  let current: KeepaliveStream | undefined;
  let avoid: string | undefined;
  let onAnswer: (answer: ILeaseKeepAliveResponse) => void = () => {};
  let onFailure: (error: unknown) => void = () => {};

  const open = async (timeout: number): Promise<KeepaliveStream> => {
    const opened: KeepaliveStream = await client.open(
      (rpc) => rpc.lease.leaseKeepAlive(),
      {
        attemptMs: timeout,
        avoid,
      },
      signal,
    );
    const lost = (error: unknown): void => {
      if (current !== opened) return;
      current = undefined;
      // StoredKey to everybody: the next stream, and other calls, go to another member.
      avoid = opened.member;
      opened.failed(error);
      onFailure(error);
    };
    opened.stream.on('data', (answer: ILeaseKeepAliveResponse) => {
      if (current === opened) onAnswer(answer);
    });
    opened.stream.on('error', (error) => lost(etcdError(`${opened.member} keepalive`, error)));
    opened.stream.on('end', () =>
      lost(new EtcdError(`${opened.member} keepalive`, status.UNAVAILABLE, 'stream ended')),
    );
    return opened;
  };

  const close = (): void => {
    const stream = current?.stream;
    current = undefined;
    stream?.cancel();
  };

  return {
    async renew(id, timeout) {
      let timer: Timer | undefined;
      try {
        current ??= await open(timeout);
        const used = current;
        const ttl = await new Promise<number>((resolve, reject) => {
          onFailure = reject;
          onAnswer = (answer) => {
            if (answer.ID === id) resolve(Number(answer.TTL));
          };
          const late = new EtcdError(
            `${used.member} keepalive`,
            status.DEADLINE_EXCEEDED,
            `no answer in ${timeout} ms`,
          );
          timer = clock.setTimeout(() => {
            used.failed(late);
            reject(late);
          }, timeout);
          used.stream.write({ ID: id });
        });
        used.good();
        avoid = undefined;
        return ttl;
      } catch (error) {
        avoid = current?.member ?? avoid;
        close();
        throw error;
      } finally {
        clock.clearTimeout(timer);
        onAnswer = () => {};
        onFailure = () => {};
      }
    },
    close,
  };
}
