import { clock } from '../../common/async/clock.ts';
import type { LeasedKeys } from '../../common/etcd/keys/leased-keys.ts';
import { announcedAtOf, formatInstance, type Instance, parseInstance } from '../../common/instance.ts';

/** Why an instance is, or is not, visible in the registry. */
export interface AnnouncementStatus {
  readonly announced: boolean;
  /** Null when the registry is as it shall be. */
  readonly reason: string | null;
  /** What the registry itself says against it; null also while a first try is under way. */
  readonly trouble: string | null;
}

export interface CloseOptions {
  /** Milliseconds. */
  readonly timeout: number;
  /** Leaves everything as it is to who comes next, for as long as the lease lives. */
  readonly keep?: boolean;
}

/** Makes instances visible to others. Everything returns at once; an outage is made up for when it ends. */
export interface Announcer {
  /** From now on `key` shall show `instance`. Replaces what it showed. */
  announce(key: string, instance: Instance): void;
  /**
   * From now on `key` shall show nothing. Readers see an orderly withdrawal before it goes. With `forget`, nobody will ask
   * for its status any more.
   */
  withdraw(key: string, instance: Instance, options?: { readonly forget?: boolean }): void;
  /** Resolves when the registry is as asked; rejects when `signal` aborts before. */
  settled(signal: AbortSignal): Promise<void>;
  status(key: string): AnnouncementStatus;
  readonly lease: { readonly id: string | null; readonly held: boolean; readonly lastError: string | null };
  /** Withdraws everything within the time, or leaves it to the lease's end. */
  close(options: CloseOptions): Promise<void>;
}

/** What a key shall show: the record as such, and the value with the time at which it became like that. */
interface Shown {
  readonly record: string;
  readonly value: string;
}

/**
 * Announces in etcd, under one lease.
 * @param hold starts to hold keys under a lease; tells, see `LeasedKeysOptions.onFound`, what is found under one of them
 * @param found told the same
 */
export function createEtcdAnnouncer(
  hold: (onFound: (key: string, value: string) => void) => LeasedKeys,
  found: (key: string, instance: Instance) => void,
): Announcer {
  const shown = new Map<string, Shown>();
  /** The value for a key; the one before when nothing but the time would change, so that no reader sees a change. */
  const stampedOnce = (key: string, instance: Instance): string => {
    const record = formatInstance(instance);
    const before = shown.get(key);
    if (before?.record === record) return before.value;
    const value = stamped(instance);
    shown.set(key, { record, value });
    return value;
  };
  const onFound = (key: string, value: string): void => {
    let instance: Instance;
    try {
      instance = parseInstance(value);
      found(key, instance);
    } catch {
      // No record of ours; it is overwritten.
      return;
    }
    const now = shown.get(key);
    if (now === undefined || formatInstance(instance) !== now.record) return;
    // Exactly what a predecessor of ours wrote, and it is still right: since then, not since now.
    if (formatInstance(instance, announcedAtOf(value) ?? undefined) !== value) return;
    shown.set(key, { record: now.record, value });
    keys.set(key, value);
  };
  const keys = hold(onFound);
  return {
    announce(key, instance) {
      keys.set(key, stampedOnce(key, instance));
    },
    withdraw(key, instance, options) {
      keys.unset(key, stampedOnce(key, { ...instance, state: 'down' }), options);
      if (options?.forget) shown.delete(key);
    },
    settled: (signal) => keys.settled(signal),
    status(key) {
      const entry = keys.keyStatus(key);
      if (entry === undefined) return { announced: false, reason: 'not asked for yet', trouble: null };
      const wanted = entry.desired === 'set';
      if (entry.settled) return { announced: wanted, reason: null, trouble: null };
      const trouble = entry.reason ?? keys.status.reason;
      return { announced: !wanted, reason: trouble ?? 'under way', trouble };
    },
    get lease() {
      const { leaseId: id, held, reason: lastError } = keys.status;
      return { id, held, lastError };
    },
    close: (options) =>
      keys.close({ timeoutMs: options.timeout, tombstone, ...(options.keep !== undefined && { keep: options.keep }) }),
  };
}

/** What a withdrawn instance shows for its last moment. */
function tombstone(_key: string, value: string): string {
  return stamped({ ...parseInstance(value), state: 'down' });
}

function stamped(instance: Instance): string {
  return formatInstance(instance, clock.date().toISOString());
}
