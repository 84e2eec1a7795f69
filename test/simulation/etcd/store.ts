/** One key at one revision. Revisions are numbers here and text on the wire. */
export interface StoredKeyValue {
  readonly key: string;
  readonly value: Buffer;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** `0`: none. */
  readonly lease: string;
}

export interface StoredEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  /** Of a deletion: key and revision alone. */
  readonly kv: StoredKeyValue;
}

/** What one transaction did. */
export interface Committed {
  readonly revision: number;
  readonly events: readonly StoredEvent[];
}

/** A range as etcd takes it: one key, all keys from `key` up to `end`, or all keys from `key` on (`end` is `\0`). */
export interface Range {
  readonly key: string;
  readonly end: string;
}

/** True when a key is in a range. */
export function inRange(key: string, range: Range): boolean {
  if (range.end === '') return key === range.key;
  return key >= range.key && (range.end === '\0' || key < range.end);
}

/** True when a committed transaction has something in a range. */
export function touches(committed: Committed, range: Range): boolean {
  return committed.events.some(({ key }) => inRange(key, range));
}

/** The state machine of etcd: what every member's copy becomes, transaction by transaction. */
export class Store {
  revision = 1;
  compacted = 0;
  readonly #keys = new Map<string, StoredKeyValue>();
  /** By revision: what happened at it. */
  readonly #history = new Map<number, readonly StoredEvent[]>();
  #draft: { readonly revision: number; readonly events: StoredEvent[] } | undefined;

  get(key: string): StoredKeyValue | undefined {
    return this.#keys.get(key);
  }

  /** The keys of a range as they are now, in order. */
  range(range: Range): readonly StoredKeyValue[] {
    if (range.end === '') {
      const one = this.#keys.get(range.key);
      return one === undefined ? [] : [one];
    }
    return [...this.#keys.values()].filter(({ key }) => inRange(key, range)).sort(byKey);
  }

  /** The keys of a range as they were at a revision. @returns undefined when that was compacted */
  rangeAt(range: Range, revision: number): readonly StoredKeyValue[] | undefined {
    if (revision === this.revision) return this.range(range);
    if (revision < this.compacted) return undefined;
    const at = new Map(this.range(range).map((kv) => [kv.key, kv]));
    // Backwards: each event is undone by the last one of its key before it.
    for (let back = this.revision; back > revision; back -= 1) {
      for (const { key } of this.#history.get(back) ?? []) {
        if (!inRange(key, range)) continue;
        const former = this.#before(key, back);
        if (former === undefined) at.delete(key);
        else at.set(key, former);
      }
    }
    return [...at.values()].sort(byKey);
  }

  /** Runs a transaction: all its writes get one revision, or none when it writes nothing. */
  transact<T>(run: () => T): { readonly result: T; readonly committed: Committed | undefined } {
    this.#draft = { revision: this.revision + 1, events: [] };
    try {
      const result = run();
      const { revision, events } = this.#draft;
      if (events.length === 0) return { result, committed: undefined };
      this.revision = revision;
      this.#history.set(revision, events);
      return { result, committed: { revision, events } };
    } finally {
      this.#draft = undefined;
    }
  }

  /** Within {@link Store.transact}. */
  put(key: string, value: Buffer, lease: string): void {
    const draft = this.#inTransaction();
    const old = this.#keys.get(key);
    const kv: StoredKeyValue = {
      key,
      value,
      createRevision: old?.createRevision ?? draft.revision,
      modRevision: draft.revision,
      version: (old?.version ?? 0) + 1,
      lease,
    };
    this.#keys.set(key, kv);
    draft.events.push({ type: 'put', key, kv });
  }

  /** Within {@link Store.transact}. @returns how many there were */
  delete(range: Range): number {
    const draft = this.#inTransaction();
    const gone = this.range(range);
    for (const { key } of gone) {
      this.#keys.delete(key);
      const kv = {
        key,
        value: Buffer.alloc(0),
        createRevision: 0,
        modRevision: draft.revision,
        version: 0,
        lease: '0',
      };
      draft.events.push({ type: 'delete', key, kv });
    }
    return gone.length;
  }

  /** What happened from a revision on, revision by revision. @returns undefined when that was compacted */
  since(revision: number): readonly Committed[] | undefined {
    if (revision <= this.compacted && this.compacted > 0) return undefined;
    return this.logFrom(revision);
  }

  /** The same without regard to compaction: what a member applies that lags behind, entry by entry of the Raft log. */
  logFrom(revision: number): readonly Committed[] {
    const all: Committed[] = [];
    for (let at = revision; at <= this.revision; at += 1) {
      const events = this.#history.get(at);
      if (events !== undefined) all.push({ revision: at, events });
    }
    return all;
  }

  /** Forgets what was before a revision. */
  compact(revision: number): void {
    this.compacted = revision;
  }

  /** Drops what every member has applied. */
  forgetHistory(): void {
    this.#history.clear();
  }

  /** A copy to be restored later. */
  snapshot(): Store {
    const copy = new Store();
    copy.revision = this.revision;
    copy.compacted = this.compacted;
    for (const [key, kv] of this.#keys) copy.#keys.set(key, kv);
    for (const [revision, events] of this.#history) copy.#history.set(revision, events);
    return copy;
  }

  #before(key: string, revision: number): StoredKeyValue | undefined {
    for (let at = revision - 1; at > 0; at -= 1) {
      const event = this.#history.get(at)?.findLast((one) => one.key === key);
      if (event !== undefined) return event.type === 'put' ? event.kv : undefined;
    }
    return undefined;
  }

  #inTransaction() {
    if (this.#draft === undefined) throw new Error('a write outside of a transaction');
    return this.#draft;
  }
}

function byKey(a: StoredKeyValue, b: StoredKeyValue): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
