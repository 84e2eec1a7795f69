import { reasonOf } from '../../daemon/log.ts';
import { type Instance, type InstanceState, sameInstance } from '../../instance.ts';
import { visibleLine } from '../../visible.ts';
import type { Entry } from '../client/key-value.ts';
import type { KeyChange, PrefixChange } from '../watch/prefix-state.ts';
import { countsFor, levelOf } from './key-level.ts';
import type { RecordOrigin } from './record-origin.ts';

/** A record that cannot be used. */
export interface RejectedRecord {
  /** Its key, fit for a log or a terminal. */
  readonly where: string;
  readonly reason: string;
}

/** All usable records under a prefix at one moment. Immutable. */
export interface RecordSet {
  /** In the order of their keys; one for each id. */
  readonly instances: readonly Instance[];
  /** The create revision of each of `instances`: the record that was created earlier has the smaller one. */
  readonly sequence: readonly number[];
  readonly rejected: readonly RejectedRecord[];
  /** The lease of each of `instances`, `0` for none. */
  readonly leases: readonly string[];
  /** Where each of `instances` comes from. */
  readonly origins: readonly RecordOrigin[];
  /** Ids that were withdrawn since the previous set, each with the key that said so; a deeper key may still announce them. */
  readonly withdrawn: ReadonlyMap<string, string>;
  /** Ids whose own key has gone since the previous set together with its lease, each with that lease. */
  readonly lost: ReadonlyMap<string, string>;
}

/** What happened to a record, for logs and counters. */
export interface RecordEvents {
  /** Called once for each key and revision that cannot be used. */
  onRejected(rejected: RejectedRecord, origin: RecordOrigin): void;
  /** Called once for each key and revision of which a field cannot be used; the rest of the record is used. */
  onDropped?(record: RejectedRecord, origin: RecordOrigin): void;
  /**
   * An instance left the registry. `withdrawn`: its record says `down` or was deleted; `expired`: its lease is gone.
   * `origin`: the record that says `down`, or the last one.
   */
  onGone(id: string, how: 'withdrawn' | 'expired', origin: RecordOrigin): void;
}

/** Reads one record. @throws when it cannot be used, saying why */
export type ReadRecord = (entry: Entry) => Instance;

interface Parsed extends RecordOrigin {
  /** A record has either an instance or a rejection. */
  readonly instance?: Instance;
  readonly rejected?: RejectedRecord;
}

/**
 * The records under one prefix as instances. Each record is read once for each of its revisions, whatever happens to
 * the others, and one that says the same as before stays the same object.
 */
export class Records {
  readonly #read: ReadRecord;
  readonly #events: RecordEvents;
  readonly #parsed = new Map<string, Parsed>();
  /** By key, so that the order of instances does not depend on the order of events. */
  readonly #order: Parsed[] = [];
  readonly #keysOf = new Map<string, Set<string>>();
  #sharedIds = 0;
  /** Records that are not used because of others with their ids, each with that other one. */
  readonly #outdone = new WeakMap<Parsed, { readonly by: Parsed; readonly rejected: RejectedRecord }>();

  constructor(read: ReadRecord, events: RecordEvents) {
    this.#read = read;
    this.#events = events;
  }

  /** Applies a change. @returns the whole set after it; undefined when the set is the same as before */
  apply(change: PrefixChange): RecordSet | undefined {
    let differs = false;
    const withdrawn = new Map<string, string>();
    const lost = new Map<string, string>();
    const remove = (key: string, how?: KeyChange['how']): void => {
      const gone = this.#remove(key);
      differs ||= gone !== undefined;
      if (gone?.instance === undefined) return;
      const { id, state } = gone.instance;
      if (this.#otherCounts(id, key)) return;
      // Nothing without a lease can expire.
      const isWithdrawn = state === 'down' || how === 'withdrawn' || gone.lease === '0';
      if (isWithdrawn) withdrawn.set(id, key);
      else lost.set(id, gone.lease);
      // One that said `down` was reported then; its record may stay for a minute after that.
      if (state !== 'down' && !this.#isAnnounced(id)) {
        this.#events.onGone(id, isWithdrawn ? 'withdrawn' : 'expired', gone);
      }
    };
    if (change.reason !== 'watch') {
      // A whole list: records that are not in it are gone, whether or not an event said so.
      const how = new Map(change.changed.map((item) => [item.key, item.how]));
      for (const { key } of [...this.#order]) if (!change.entries.has(key)) remove(key, how.get(key));
    }
    for (const { key, entry, how } of change.changed) {
      if (entry === undefined) remove(key, how);
      else if (this.#put(key, entry, withdrawn)) differs = true;
    }
    return differs ? this.set(withdrawn, lost) : undefined;
  }

  /** True when the record said `down` before it was deleted: it was withdrawn. */
  saidDown({ key, previous }: KeyChange): boolean {
    if (previous === undefined) return false;
    const parsed = this.#parsed.get(key);
    if (parsed?.modRevision === previous.modRevision) return parsed.instance?.state === 'down';
    // It was written and deleted in one change, which has not been applied yet.
    try {
      return this.#read(previous).state === 'down';
    } catch {
      return false;
    }
  }

  /** Where the instance of an entry listens; undefined when the entry announces none. */
  addressOf(entry: Entry): string | undefined {
    try {
      const { host, port, state } = this.#read(entry);
      return state === 'down' ? undefined : `${host} ${port}`;
    } catch {
      return undefined;
    }
  }

  /** The whole set at present. */
  set(withdrawn: ReadonlyMap<string, string> = new Map(), lost: ReadonlyMap<string, string> = new Map()): RecordSet {
    const instances: Instance[] = [];
    const leases: string[] = [];
    const sequence: number[] = [];
    const origins: RecordOrigin[] = [];
    const rejected: RejectedRecord[] = [];
    const winners = this.#sharedIds === 0 ? undefined : this.#winners();
    for (const parsed of this.#order) {
      const { instance, created, lease } = parsed;
      // Made once: a set must not cost more because someone has written ten thousands of records that cannot be used.
      if (parsed.rejected !== undefined) rejected.push(parsed.rejected);
      if (instance === undefined) continue;
      const winner = winners?.get(instance.id) ?? parsed;
      if (winner === parsed) {
        instances.push(instance);
        sequence.push(created);
        leases.push(lease);
        origins.push(parsed);
      } else rejected.push(this.#outdoneBy(winner, parsed, instance));
    }
    return { instances, sequence, rejected, leases, origins, withdrawn, lost };
  }

  #outdoneBy(winner: Parsed, parsed: Parsed, { id }: Instance): RejectedRecord {
    const known = this.#outdone.get(parsed);
    if (known?.by === winner) return known.rejected;
    const what = stateOf(winner) === 'down' ? 'says down' : 'is used';
    const reason = `the id ${id} is also that of ${printable(winner.key)}, which ${what}`;
    const rejected = { where: printable(parsed.key), reason };
    this.#outdone.set(parsed, { by: winner, rejected });
    return rejected;
  }

  /** @returns true when the record says something else than before. `withdrawn`: see {@link RecordSet.withdrawn} */
  #put(key: string, entry: Entry, withdrawn: Map<string, string>): boolean {
    const { modRevision, lease } = entry;
    const created = Number(entry.createRevision);
    const before = this.#parsed.get(key);
    if (before?.modRevision === modRevision && before.created === created) return false;
    let parsed: Parsed;
    try {
      const instance = this.#read(entry);
      const same = before?.instance !== undefined && sameInstance(before.instance, instance);
      parsed = { key, modRevision, created, lease, instance: same ? before.instance : instance };
      if (instance.dropped !== undefined && !same) {
        this.#events.onDropped?.({ where: printable(key), reason: instance.dropped.join('; ') }, parsed);
      }
    } catch (error) {
      const rejected = { where: printable(key), reason: reasonOf(error) };
      parsed = { key, modRevision, created, lease, rejected };
      this.#events.onRejected(rejected, parsed);
    }
    if (before?.instance !== undefined && parsed.instance === before.instance) {
      this.#parsed.set(key, parsed);
      this.#order[this.#position(key)] = parsed;
      return before.created !== created || before.lease !== lease;
    }
    const replaced = this.#remove(key);
    if (replaced?.instance !== undefined) this.#noteWithdrawn(replaced.instance, parsed, withdrawn);
    this.#parsed.set(key, parsed);
    this.#order.splice(this.#position(key), 0, parsed);
    if (parsed.instance !== undefined) this.#claim(parsed.instance.id, key);
    return replaced?.rejected === undefined || replaced.rejected.reason !== parsed.rejected?.reason;
  }

  /** Reports a record that says `down` now, and notes one that said so and was overwritten: no set may have shown that one. */
  #noteWithdrawn({ id, state }: Instance, next: Parsed, withdrawn: Map<string, string>): void {
    const isSame = next.instance?.id === id;
    if (this.#otherCounts(id, next.key)) return;
    if (state !== 'down' && isSame && stateOf(next) === 'down') this.#events.onGone(id, 'withdrawn', next);
    if (state === 'down' && !isSame) withdrawn.set(id, next.key);
  }

  /** True when another record of this instance is there that counts for `key`. */
  #otherCounts(id: string, key: string): boolean {
    for (const other of this.#keysOf.get(id) ?? []) if (other !== key && countsFor(other, key)) return true;
    return false;
  }

  /** True when a record says that this instance is up or drains. */
  #isAnnounced(id: string): boolean {
    for (const key of this.#keysOf.get(id) ?? []) if (stateOf(this.#parsed.get(key)) !== 'down') return true;
    return false;
  }

  #remove(key: string): Parsed | undefined {
    const parsed = this.#parsed.get(key);
    if (parsed === undefined) return undefined;
    this.#parsed.delete(key);
    this.#order.splice(this.#position(key), 1);
    if (parsed.instance !== undefined) this.#release(parsed.instance.id, key);
    return parsed;
  }

  #claim(id: string, key: string): void {
    const keys = this.#keysOf.get(id);
    if (keys === undefined) {
      this.#keysOf.set(id, new Set([key]));
      return;
    }
    keys.add(key);
    if (keys.size === 2) this.#sharedIds += 1;
  }

  #release(id: string, key: string): void {
    const keys = this.#keysOf.get(id);
    if (keys?.delete(key) !== true) return;
    if (keys.size === 1) this.#sharedIds -= 1;
    if (keys.size === 0) this.#keysOf.delete(id);
  }

  /**
   * For each id that several records have, the one that is used: the one that is least deep, also when it says `down`; then the
   * one with the best state, then the smallest key. See {@link countsFor}.
   */
  #winners(): ReadonlyMap<string, Parsed> {
    const winners = new Map<string, Parsed>();
    for (const parsed of this.#order) {
      if (parsed.instance === undefined) continue;
      const { id } = parsed.instance;
      const best = winners.get(id);
      if (best === undefined || isBefore(parsed, best)) winners.set(id, parsed);
    }
    return winners;
  }

  /** The index of `key` in the sorted list, or where it belongs. */
  #position(key: string): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#order[middle] as Parsed).key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** True when `one` is used rather than `other`, whose key is smaller. */
function isBefore(one: Parsed, other: Parsed): boolean {
  return (levelOf(one.key) - levelOf(other.key) || stateRank[stateOf(one)] - stateRank[stateOf(other)]) < 0;
}

function stateOf(parsed: Parsed | undefined): InstanceState {
  return parsed?.instance?.state ?? 'down';
}

const stateRank: Readonly<Record<InstanceState, number>> = { up: 0, drain: 1, down: 2 };

/** A key, fit for a log or a terminal: keys come from the network. Escapes quotes and what is not visible; cuts long keys. */
export function printable(key: string): string {
  return visibleLine(JSON.stringify(key.length > 256 ? `${key.slice(0, 256)}…` : key).slice(1, -1));
}
