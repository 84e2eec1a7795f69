import type { IEvent } from 'etcd3/lib/rpc.js';
import { type Entry, isPut, type KeyRange, keyText, prefixRange, sameEntry, toEntry } from '../client/key-value.ts';
import type { KnownRecord } from './known-record.ts';
import type { Listing } from './list.ts';

/** One key that has changed; without `entry` it was deleted. */
export interface KeyChange {
  readonly key: string;
  readonly entry?: Entry;
  readonly previous?: Entry;
  /** How a deleted key went, once that is known: its announcer or an operator deleted it, or its lease is gone. */
  readonly how?: 'withdrawn' | 'lost';
}

/** What happened to the keys under a prefix. */
export interface PrefixChange {
  /** All keys after the change: a live map, to be read before the handler returns. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** The differences, in order; the first time, all keys. A key may occur more than once. */
  readonly changed: readonly KeyChange[];
  /** The revision of `entries`. */
  readonly revision: string;
  /** When it reached this process, milliseconds of `clock.now()`. */
  readonly seenAt: number;
  /** The first list, an event, or a difference that a later list found. */
  readonly reason: 'list' | 'watch' | 'relist';
}

/** The revisions at which events changed keys while a list was under way. */
export type Journal = Map<string, number>;

/** Handles a change; see {@link PrefixChange}. */
export type OnChange = (change: PrefixChange) => void;

/** A watch went back in time: some releases do that after a member was given a snapshot (etcd #15271). */
export class OutOfOrder extends Error {
  override readonly name = 'OutOfOrder';
}

/** The keys under one prefix, brought up to date by lists and events, which may overlap and repeat each other. */
export class PrefixState {
  readonly prefix: string;
  readonly range: KeyRange;
  #nextRevision = 0;
  /** Up to this revision events may come again: a watch resumes one revision early, and a list may be ahead of it. */
  #floor = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #onChange: OnChange;
  /** Journals of the lists that are under way. */
  readonly #journals = new Set<Journal>();
  #newest: KnownRecord | undefined;
  /** The revision of the last list that was applied. */
  #listRevision = 0;
  #listed = false;
  /** The handler threw and may have lost a change: the next list gives it all keys again. */
  #owed = false;

  constructor(prefix: string, onChange: OnChange) {
    this.prefix = prefix;
    this.range = prefixRange(prefix);
    this.#onChange = onChange;
  }

  /** The first revision that is not known yet: only a whole list or an event moves it on. */
  get nextRevision(): number {
    return this.#nextRevision;
  }

  /** The handler threw and has not had all keys since. */
  get owed(): boolean {
    return this.#owed;
  }

  /** The keys that are known now: a live map. */
  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** The newest change that is known; undefined while there was none. */
  get newest(): KnownRecord | undefined {
    return this.#newest;
  }

  /** True once the handler has had the whole set. */
  get listed(): boolean {
    return this.#listed;
  }

  /** The revision to watch from. One early, so that a delete lost at the compaction revision shows as a refusal (etcd #18089). */
  resume(): number {
    this.#floor = this.#nextRevision - 1;
    return Math.max(1, this.#floor);
  }

  /** To be called before a list is requested, so that {@link applyList} knows which events are newer. */
  beginList(): Journal {
    const journal: Journal = new Map();
    this.#journals.add(journal);
    return journal;
  }

  /** To be called when a list is over, whether or not it was applied. */
  endList(journal: Journal): void {
    this.#journals.delete(journal);
  }

  /**
   * Applies a list, and tells the handler what differs. Events that are newer than the list stand.
   * @param options `reset`: the list is another cluster's, whose revisions have nothing to do with those of this one
   * @returns how many keys differed
   * @throws what the handler throws
   */
  applyList(listing: Listing, journal: Journal, options: { readonly reset: boolean; readonly seenAt: number }): number {
    // A newer list has been applied already.
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
      if (previous !== undefined && !options.reset && sameEntry(previous, entry)) continue;
      this.#entries.set(key, entry);
      changed.push(previous === undefined ? { key, entry } : { key, entry, previous });
    }
    this.#nextRevision = options.reset ? listing.revision + 1 : Math.max(this.#nextRevision, listing.revision + 1);
    this.#floor = Math.max(options.reset ? 0 : this.#floor, listing.revision);
    this.#newest = this.#newestAfter(listing, options.reset);
    const reason = this.#listed ? 'relist' : 'list';
    if (this.#listed && this.#owed) this.#tell([...this.#entries.values()].map(asChange), options.seenAt, reason);
    else if (!this.#listed || changed.length > 0) this.#tell(changed, options.seenAt, reason);
    return changed.length;
  }

  /**
   * Applies events, and tells the handler what differs.
   * @returns how many were new
   * @throws {OutOfOrder} when one is older than an earlier one: others may never have come; what the handler throws
   */
  applyEvents(events: readonly IEvent[], seenAt: number): number {
    const changed: KeyChange[] = [];
    let last = this.#nextRevision - 1;
    for (const event of events) {
      const revision = Number(event.kv.mod_revision);
      if (revision <= this.#floor) continue;
      if (revision < this.#nextRevision) {
        // The events before it in this response have been applied, and the handler was not told.
        if (changed.length > 0) this.#owed = true;
        throw new OutOfOrder(`revision ${revision} came after ${this.#nextRevision - 1}`);
      }
      last = Math.max(last, revision);
      const key = keyText(event.kv.key);
      // Some releases send keys outside the range when the user may read only part of it (GHSA-xg4h-6gfc-h4m8).
      if (!key.startsWith(this.prefix)) continue;
      for (const journal of this.#journals) journal.set(key, revision);
      const previous = this.#entries.get(key);
      if (isPut(event)) {
        const entry = toEntry(event.kv);
        this.#entries.set(key, entry);
        this.#newest = { key, revision, entry };
        changed.push(previous === undefined ? { key, entry } : { key, entry, previous });
      } else if (previous !== undefined) {
        this.#entries.delete(key);
        this.#newest = { key, revision, entry: undefined };
        changed.push({ key, previous });
      }
    }
    this.#nextRevision = last + 1;
    if (changed.length > 0) this.#tell(changed, seenAt, 'watch');
    return changed.length;
  }

  #newestAfter({ entries }: Listing, reset: boolean): KnownRecord | undefined {
    let newest = reset ? undefined : this.#newest;
    for (const [key, entry] of entries) {
      const revision = Number(entry.modRevision);
      if (newest === undefined || revision > newest.revision) newest = { key, revision, entry };
    }
    return newest;
  }

  #tell(changed: readonly KeyChange[], seenAt: number, reason: PrefixChange['reason']): void {
    this.#owed = true;
    this.#listed = true;
    this.#onChange({ entries: this.#entries, changed, revision: String(this.#nextRevision - 1), seenAt, reason });
    this.#owed = false;
  }
}

function asChange(entry: Entry): KeyChange {
  return { key: entry.key, entry };
}
