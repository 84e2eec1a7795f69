import { setMaxListeners } from 'node:events';
import { linkAbort, onAbort } from '../../async/abort.ts';
import { clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import { timeoutSignal } from '../../async/timeout.ts';
import { type Log, reasonOf } from '../../daemon/log.ts';
import type { EtcdClient } from '../client/client.ts';
import { hex } from '../client/key-value.ts';
import { type AssignOptions, KeyReconciler } from './key-reconciler.ts';
import { KeyRepair } from './key-repair.ts';
import { LeaseHolder } from './lease.ts';
import { type DesiredKey, isSettled, type OwnedKey } from './owned-key.ts';
import { type RivalLease, RivalLeases } from './rival-leases.ts';
import { deletionNoticeMs, minVerifyEveryMs } from './timing.ts';
import { TombstoneLease } from './tombstone-lease.ts';

/** Keys that exist in etcd as long as this process lives and wants them to, all under one lease, and their tombstones. */
export interface LeasedKeys {
  /**
   * Has `key` hold `value` under our lease from now on, whatever happens to the lease or the connection. Replaces an
   * earlier value. Returns at once. What a predecessor left under the key is taken over without a gap. With `isNew`, no process
   * can have had the key before: it is not read first, which spares a round trip.
   */
  set(key: string, value: string, options?: { readonly isNew?: boolean }): void;
  /**
   * Withdraws `key` and keeps it away: writes `tombstone`, so that readers see an orderly withdrawal, also those that were
   * away for some seconds; it goes with a lease of its own. Without a tombstone, or where etcd grants no such lease, the
   * key is deleted. Also removes what a former process of ours left there. Returns at once. With `forget`, nothing is kept of the key when
   * that is done, and {@link LeasedKeys.keyStatus} does not know it any more.
   */
  unset(key: string, tombstone?: string, options?: { readonly forget?: boolean }): void;
  readonly status: LeasedKeysStatus;
  /** The state of one key; undefined when it was never set nor unset. */
  keyStatus(key: string): KeyStatus | undefined;
  /** Resolves when every key is as desired; rejects when `signal` aborts. */
  settled(signal: AbortSignal): Promise<void>;
  /**
   * Shuts down cleanly: withdraws every key that is set, revokes the lease, both within `timeoutMs`, then stops. With `keep`,
   * leaves keys and lease as they are for the next process (the lease lives for its TTL).
   */
  close(options: CloseOptions): Promise<void>;
}

/** How keys are held. */
export interface LeasedKeysOptions {
  readonly ttlSeconds: number;
  /**
   * How often our keys are read, to see whether they are as desired, while they are not watched; default 10 s, or the TTL
   * when that is longer.
   */
  readonly verifyEveryMs?: number;
  /**
   * Called once for each key, before it is written, with what a predecessor left there. May call {@link LeasedKeys.set}
   * with another value.
   */
  readonly onFound?: (key: string, value: string) => void;
  /**
   * True for the value of a tombstone, of this process or of another: no process holds such a key any more. Default:
   * only tombstones of this process are known.
   */
  readonly isTombstone?: (value: string) => boolean;
}

/** How holding keys ends. */
export interface CloseOptions {
  readonly timeoutMs: number;
  /** What a withdrawn key says; undefined: it is deleted. */
  readonly tombstone?: (key: string, value: string) => string | undefined;
  readonly keep?: boolean;
}

/** The lease and the keys under it. */
export interface LeasedKeysStatus {
  /** In hexadecimal, as `etcdctl lease` prints it. */
  readonly leaseId: string | null;
  /** Granted and kept alive. */
  readonly held: boolean;
  /** Why the lease could not be granted or renewed; null while it could. */
  readonly reason: string | null;
  /** The member over which the keys are watched; null while they are only read now and then. */
  readonly watching: string | null;
  readonly keys: ReadonlyMap<string, KeyStatus>;
  /** Other processes that had keys of this one before, and still live. */
  readonly rivals: readonly RivalLease[];
}

/** One key: how it should be, and whether it is. */
export interface KeyStatus {
  readonly desired: 'set' | 'unset';
  readonly settled: boolean;
  /** Why it is not settled. */
  readonly reason: string | null;
  /** Another process that lives holds it. */
  readonly isOthers: boolean;
}

/**
 * Starts to hold a lease, and the keys under it. Everything stops when `signal` aborts; see {@link LeasedKeys.close}.
 * @throws when `ttlSeconds` is no whole number above 0
 */
export function createLeasedKeys(
  client: EtcdClient,
  options: LeasedKeysOptions,
  deps: { readonly log: Log },
  signal: AbortSignal,
): LeasedKeys {
  const { ttlSeconds } = options;
  if (!(Number.isInteger(ttlSeconds) && ttlSeconds > 0)) {
    throw new Error(`ttl ${ttlSeconds}: must be a whole number of seconds above 0`);
  }
  const keys = new EtcdLeasedKeys(client, options, deps, signal);
  keys.start();
  return keys;
}

/** Close spends this share of its time on withdrawing keys; the rest is for revoking the lease, which removes what is left. */
const withdrawingShare = 0.7;

class EtcdLeasedKeys implements LeasedKeys {
  readonly #log: Log;
  readonly #stopped: AbortSignal;
  readonly #stop: () => void;
  readonly #holder: LeaseHolder;
  readonly #reconciler: KeyReconciler;
  readonly #repair: KeyRepair;
  readonly #rivals: RivalLeases;
  /** Callers of {@link settled}. */
  readonly #waiting = new Set<() => void>();
  #closing = false;

  constructor(client: EtcdClient, options: LeasedKeysOptions, { log }: { readonly log: Log }, signal: AbortSignal) {
    const { ttlSeconds, verifyEveryMs = Math.max(minVerifyEveryMs, ttlSeconds * 1_000) } = options;
    const { onFound, isTombstone = () => false } = options;
    this.#log = log;
    const linked = linkAbort(signal);
    this.#stopped = linked.signal;
    this.#stop = () => {
      linked.abort();
      linked.release();
    };
    // Each write under way listens to it.
    setMaxListeners(0, this.#stopped);
    this.#rivals = new RivalLeases(client, { everyMs: ttlSeconds * 1_000 }, { log }, this.#stopped);
    const tombstoneLease = new TombstoneLease(client, { log }, this.#stopped);
    const onGranted = (): void => this.#reconciler.leaseGranted();
    this.#holder = new LeaseHolder(client, { ttlSeconds }, { log, onGranted }, this.#stopped);
    this.#reconciler = new KeyReconciler(
      client,
      { verifyEveryMs },
      {
        log,
        holder: this.#holder,
        tombstoneLease,
        isTombstone,
        onFound: (key, value, lease) => {
          if (!isTombstone(value)) this.#rivals.add(lease, key);
          onFound?.(key, value);
        },
        onRest: (key) => this.#onRest(key),
        onRepair: (key, noticedBy) => this.#repair.onRepair(key, noticedBy),
      },
      this.#stopped,
    );
    this.#repair = new KeyRepair(client, { verifyEveryMs }, { log, reconciler: this.#reconciler }, this.#stopped);
  }

  start(): void {
    this.#holder.start();
    this.#repair.start();
  }

  get status(): LeasedKeysStatus {
    const { id, held, reason } = this.#holder;
    const keys = new Map(this.#reconciler.keys().map((owned) => [owned.key, statusOf(owned)]));
    const { rivals } = this.#rivals;
    return { leaseId: id === null ? null : hex(id), held, reason, watching: this.#repair.watching, keys, rivals };
  }

  keyStatus(key: string): KeyStatus | undefined {
    const owned = this.#reconciler.get(key);
    return owned && statusOf(owned);
  }

  set(key: string, value: string, options?: { readonly isNew?: boolean }): void {
    this.#assign(key, { kind: 'set', value }, options);
  }

  unset(key: string, tombstone?: string, options?: { readonly forget?: boolean }): void {
    this.#assign(key, { kind: 'unset', tombstone }, options);
  }

  settled(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#reconciler.allSettled) return resolve();
      const done = (): void => {
        this.#waiting.delete(done);
        release();
        resolve();
      };
      const release = onAbort(signal, (reason) => {
        this.#waiting.delete(done);
        reject(reason);
      });
      this.#waiting.add(done);
    });
  }

  async close({ timeoutMs, tombstone, keep = false }: CloseOptions): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    const end = clock.now() + timeoutMs;
    try {
      if (keep || this.#stopped.aborted) return;
      this.#reconciler.withdrawAll((key, value) => tombstone?.(key, value));
      const withdrawingMs = Math.max(1, Math.round(timeoutMs * withdrawingShare));
      await this.settled(timeoutSignal(withdrawingMs)).catch(() => {});
      // Readers that see a delete ask whether its lease lives: if it does, the key was withdrawn, not lost.
      const readersMs = this.#reconciler.deletedAt + deletionNoticeMs - clock.now();
      await sleep(Math.min(readersMs, (end - clock.now()) / 2), this.#stopped);
      await this.#holder.revokeAll(Math.max(1, end - clock.now()));
    } catch (error) {
      this.#log.warn('etcd keys could not be withdrawn, they go when the lease expires', { reason: reasonOf(error) });
    } finally {
      this.#stop();
    }
  }

  #assign(key: string, desired: DesiredKey, options?: AssignOptions): void {
    if (!this.#closing && !this.#stopped.aborted) this.#reconciler.assign(key, desired, options);
  }

  #onRest(key: OwnedKey): void {
    this.#repair.onRest(key);
    if (!this.#reconciler.allSettled) return;
    this.#holder.revokeReplaced((lease) => this.#reconciler.keys().some(({ observed }) => observed?.lease === lease));
    for (const resolve of [...this.#waiting]) resolve();
  }
}

function statusOf(owned: OwnedKey): KeyStatus {
  return {
    desired: owned.desired.kind,
    settled: isSettled(owned),
    reason: owned.reason,
    isOthers: owned.phase === 'conflict',
  };
}
