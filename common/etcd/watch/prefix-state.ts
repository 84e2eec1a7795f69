import type { IEvent } from 'etcd3/lib/rpc.js';
import { type Entry, isPut, type KeyRange, prefixRange, toEntry } from '../client/key-value.ts';
import type { Listing } from './list.ts';

/** One key that differs from before; without `entry` it was deleted. */
export interface KeyChange {
  readonly key: string;
  readonly entry?: Entry;
  readonly previous?: Entry;
}

/** What happened to the keys under a prefix. */
export interface PrefixChange {
  /** The whole prefix after the change: a live map, to be read before returning. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** What differs, in order; the first time, all of it. A key may be there more than once. */
  readonly changed: readonly KeyChange[];
  /** The revision that `entries` shows. */
  readonly revision: string;
  /** When it reached us, milliseconds of `clock.now()`. */
  readonly seenAt: number;
  /** First read, event, or difference found by reading again. */
  readonly reason: 'list' | 'watch' | 'relist';
}

/** Revisions of what events changed while a list was under way. */
export type Journal = Map<string, number>;

/** Takes a change; see {@link PrefixChange}. */
export type OnChange = (change: PrefixChange) => void;

/** A watch went back in time: some releases do, after a member was given a snapshot (etcd #15271). */
export class OutOfOrder extends Error {
  override readonly name = 'OutOfOrder';
}

/** The keys under one prefix, and how far they have been followed. */
export class PrefixState {
  readonly prefix: string;
  readonly range: KeyRange;
  /** The first revision that is not known yet: only a whole list or an event moves it on. */
  nextRevision = 0;
  /** Up to here events may come again: a watch resumes one revision early, and a list may have been ahead of it. */
  #floor = 0;
  /** When the last list was asked for, milliseconds of `clock.now()`. */
  listedAt = Number.NEGATIVE_INFINITY;
  /** When to read everything again, milliseconds of `clock.now()`. */
  checkAt = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #onChange: OnChange;
  /** Of the lists under way. */
  readonly #journals = new Set<Journal>();
  /** The revision of the last list that was taken over. */
  #listRevision = 0;
  #listed = false;
  /** The handler threw: it may have lost a change, so that the next list gives it everything again. */
  #owed = false;

  constructor(prefix: string, onChange: OnChange) {
    this.prefix = prefix;
    this.range = prefixRange(prefix);
    this.#onChange = onChange;
  }

  /** The handler threw and has not had everything since. */
  get owed(): boolean {
    return this.#owed;
  }

  /** True once the handler has had the whole set. */
  get listed(): boolean {
    return this.#listed;
  }

  /** The revision to watch from. One early: a delete lost at the compaction revision becomes a refusal (etcd #18089). */
  resume(): number {
    this.#floor = this.nextRevision - 1;
    return Math.max(1, this.#floor);
  }

  /** To be called before a list is asked for, so that {@link applyList} knows which events came after it. */
  beginList(): Journal {
    const journal: Journal = new Map();
    this.#journals.add(journal);
    return journal;
  }

  /** To be called when a list is over, taken over or not. */
  endList(journal: Journal): void {
    this.#journals.delete(journal);
  }

  /**
   * Takes a list over and tells the handler what differs. Events newer than the list, received meanwhile, stand.
   * With `reset`, the list is of another cluster, whose revisions have nothing to do with what is known.
   * @returns how many keys differed
   * @throws what the handler throws
   */
  applyList(listing: Listing, journal: Journal, options: { readonly reset: boolean; readonly seenAt: number }): number {
    // A list that was overtaken by another one says nothing new.
    if (!options.reset && listing.revision < this.#listRevision) return 0;
    this.#listRevision = listing.revision;
    const newer = (key: string): boolean => !options.reset && (journal.get(key) ?? 0) > listing.revision;
    const changed: KeyChange[] = [];
    for (const [key, previous] of this.#entries) {
      if (listing.entries.has(key) || newer(key)) continue;
      this.#entries.delete(key);
      changed.push({ key, previous });
    }
    for (const [key, entry] of listing.entries) {
      if (newer(key)) continue;
      const previous = this.#entries.get(key);
      if (previous?.modRevision === entry.modRevision && !options.reset) continue;
      this.#entries.set(key, entry);
      changed.push(previous === undefined ? { key, entry } : { key, entry, previous });
    }
    this.nextRevision = options.reset ? listing.revision + 1 : Math.max(this.nextRevision, listing.revision + 1);
    this.#floor = Math.max(options.reset ? 0 : this.#floor, listing.revision);
    const reason = this.#listed ? 'relist' : 'list';
    if (this.#listed && this.#owed) this.#tell([...this.#entries.values()].map(asChange), options.seenAt, reason);
    else if (!this.#listed || changed.length > 0) this.#tell(changed, options.seenAt, reason);
    return changed.length;
  }

  /**
   * Takes events over and tells the handler, if any of them is new.
   * @returns how many were
   * @throws {OutOfOrder} when one is older than what came before it: there may be more that never came; what the handler throws
   */
  applyEvents(events: readonly IEvent[], seenAt: number): number {
    const changed: KeyChange[] = [];
    let last = this.nextRevision - 1;
    for (const event of events) {
      const revision = Number(event.kv.mod_revision);
      if (revision <= this.#floor) continue;
      if (revision < this.nextRevision) {
        // What came before it in the same response is known now, and the handler has not heard of it.
        if (changed.length > 0) this.#owed = true;
        throw new OutOfOrder(`revision ${revision} came after ${this.nextRevision - 1}`);
      }
      last = Math.max(last, revision);
      const key = event.kv.key.toString();
      // Some releases send keys outside the range to users who may read only part of it (GHSA-xg4h-6gfc-h4m8).
      if (!key.startsWith(this.prefix)) continue;
      for (const journal of this.#journals) journal.set(key, revision);
      const previous = this.#entries.get(key);
      if (isPut(event)) {
        const entry = toEntry(event.kv);
        this.#entries.set(key, entry);
        changed.push(previous === undefined ? { key, entry } : { key, entry, previous });
      } else if (previous !== undefined) {
        this.#entries.delete(key);
        changed.push({ key, previous });
      }
    }
    this.nextRevision = last + 1;
    if (changed.length > 0) this.#tell(changed, seenAt, 'watch');
    return changed.length;
  }

  #tell(changed: readonly KeyChange[], seenAt: number, reason: PrefixChange['reason']): void {
    this.#owed = true;
    this.#listed = true;
    this.#onChange({ entries: this.#entries, changed, revision: String(this.nextRevision - 1), seenAt, reason });
    this.#owed = false;
  }
}

function asChange(entry: Entry): KeyChange {
  return { key: entry.key, entry };
}
