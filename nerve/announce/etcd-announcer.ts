import { clock } from '../../common/async/clock.ts';
import type { LeasedKeys, LeasedKeysOptions } from '../../common/etcd/keys/leased-keys.ts';
import { announcedAtOf, formatInstance, type Instance, parseInstance } from '../../common/instance.ts';
import {
  type AnnouncementStatus,
  type Announcer,
  type CloseOptions,
  type LeaseStatus,
  type OnLeftover,
  twoNerves,
} from './announcer.ts';

/** The content of one key: the record, and the value written, which also has the time of the record's last change. */
interface KeyContent {
  readonly state: Instance['state'];
  readonly record: string;
  readonly value: string;
}

/** What the announcer needs from outside. */
export interface EtcdAnnouncerDeps {
  /** Creates the leased keys, which have these options among theirs. */
  readonly createKeys: (options: Pick<LeasedKeysOptions, 'onFound' | 'isTombstone'>) => LeasedKeys;
  readonly onLeftover: OnLeftover;
}

/** Announces in one etcd cluster, under one lease. */
export class EtcdAnnouncer implements Announcer {
  readonly #keys: LeasedKeys;
  readonly #onLeftover: OnLeftover;
  readonly #contents = new Map<string, KeyContent>();

  constructor({ createKeys, onLeftover }: EtcdAnnouncerDeps) {
    this.#onLeftover = onLeftover;
    this.#keys = createKeys({ onFound: (key, value) => this.#adopt(key, value), isTombstone });
  }

  announce(key: string, instance: Instance): void {
    this.#keys.set(key, this.#valueOf(key, instance));
  }

  withdraw(key: string, instance: Instance, options?: { readonly forget?: boolean }): void {
    const movesDeeper = options?.forget === true && this.#isAnnouncedBelow(key, instance);
    // Readers take what a key says before what deeper keys say: a tombstone would hide the instance for a minute.
    const value = movesDeeper ? undefined : this.#valueOf(key, { ...instance, state: 'down' });
    this.#keys.unset(key, value, options);
    if (options?.forget) this.#contents.delete(key);
  }

  settled(signal: AbortSignal): Promise<void> {
    return this.#keys.settled(signal);
  }

  status(key: string): AnnouncementStatus {
    const status = this.#keys.keyStatus(key);
    if (status === undefined) return { announced: false, reason: 'not requested yet', error: null };
    const desired = status.desired === 'set';
    if (status.settled) return { announced: desired, reason: null, error: null };
    const error = status.isOthers ? `${status.reason}: ${twoNerves}` : (status.reason ?? this.#keys.status.reason);
    return { announced: !desired, reason: error ?? 'waiting for etcd', error };
  }

  get lease(): LeaseStatus {
    const { leaseId: id, held, reason, rivals } = this.#keys.status;
    return { id, held, reason, rivals };
  }

  close({ timeoutMs, keep = false }: CloseOptions): Promise<void> {
    return this.#keys.close({ timeoutMs, keep, tombstone });
  }

  /** True when this announcer shows the instance of `key` at a deeper key of the same folder. */
  #isAnnouncedBelow(key: string, { id }: Instance): boolean {
    const folder = key.slice(0, key.lastIndexOf('/') + 1);
    return [...this.#contents].some(
      ([other, { state }]) => state !== 'down' && other !== key && other.startsWith(folder) && other.endsWith(`/${id}`),
    );
  }

  /** The value for a key. It keeps its time until the record changes, so that readers see no change without one. */
  #valueOf(key: string, instance: Instance): string {
    const record = formatInstance(instance);
    const current = this.#contents.get(key);
    if (current?.record === record) return current.value;
    const value = stamped(instance);
    this.#contents.set(key, { state: instance.state, record, value });
    return value;
  }

  /** Keeps the value that an earlier process wrote where it has the right record: its time is the true one. */
  #adopt(key: string, value: string): void {
    let instance: Instance;
    try {
      instance = parseInstance(value);
      this.#onLeftover(key, instance);
    } catch {
      // Not a record of nerve: the announcer overwrites it.
      return;
    }
    const current = this.#contents.get(key);
    if (current === undefined || formatInstance(instance) !== current.record) return;
    // A value with fields that nerve does not write is overwritten too.
    if (formatInstance(instance, announcedAtOf(value) ?? undefined) !== value) return;
    this.#contents.set(key, { ...current, value });
    // A tombstone that an earlier process left is a withdrawal here too.
    if (current.state === 'down') this.#keys.unset(key, value);
    else this.#keys.set(key, value);
  }
}

/** The last value of a key that is withdrawn. */
function tombstone(_key: string, value: string): string {
  return stamped({ ...parseInstance(value), state: 'down' });
}

/** True for the value of a key that was withdrawn, whichever process did that. */
function isTombstone(value: string): boolean {
  try {
    return parseInstance(value).state === 'down';
  } catch {
    return false;
  }
}

function stamped(instance: Instance): string {
  return formatInstance(instance, clock.date().toISOString());
}
