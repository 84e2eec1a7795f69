import type { Instance } from '../../common/instance.ts';

/** What it means that two processes that live announce one key. */
export const twoNerves = 'two nerves have the same instance_id and service; stop one, or give it another instance_id';

/** Whether a key of the registry shows what it should. */
export interface AnnouncementStatus {
  /** The registry has the key, as far as the announcer knows. */
  readonly announced: boolean;
  /** Why the registry does not show what it should; null when it does. */
  readonly reason: string | null;
  /** The registry's error, if that is the reason; null while a first attempt is running. */
  readonly error: string | null;
}

/** The lease that keeps all keys of an announcer. */
export interface LeaseStatus {
  /** Hexadecimal; null before etcd granted one. */
  readonly id: string | null;
  /** Granted, and kept alive. */
  readonly held: boolean;
  /** The last error of granting or renewing it; null when that works. */
  readonly reason: string | null;
  /** Other processes that announced keys of this one before, and still live: their leases, and a key of each. */
  readonly rivals?: readonly { readonly lease: string; readonly key: string }[];
}

/** How an announcer ends. */
export interface CloseOptions {
  readonly timeoutMs: number;
  /** Withdraws nothing: the lease keeps the announcements for its TTL, and the next process takes them over. */
  readonly keep?: boolean;
}

/**
 * Announces instances in one registry. Every call but `settled` and `close` returns at once; after an outage the announcer
 * brings the registry up to date.
 */
export interface Announcer {
  /** Makes `key` show `instance`, instead of what it showed before. */
  announce(key: string, instance: Instance): void;
  /**
   * Removes `key`; readers see that this is a withdrawal and not an expired lease. With `forget`, the announcer drops the
   * status of the key afterwards.
   */
  withdraw(key: string, instance: Instance, options?: { readonly forget?: boolean }): void;
  /** Resolves when all keys show what they should; rejects when `signal` aborts first. */
  settled(signal: AbortSignal): Promise<void>;
  status(key: string): AnnouncementStatus;
  readonly lease: LeaseStatus;
  /** Withdraws everything; what takes longer than the timeout goes when the lease expires. */
  close(options: CloseOptions): Promise<void>;
}

/** Called with a record that an earlier process of this nerve left under one of its keys. */
export type OnLeftover = (key: string, instance: Instance) => void;
