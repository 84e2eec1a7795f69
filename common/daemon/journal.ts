import { clock } from '../async/clock.ts';
/** What every entry carries: a number that only grows, and when it was written down. */
export interface Stamp {
  /** 1, 2, 3, … since this process began. */
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly time: string;
}

/** How many entries are remembered; some hundred bytes each. */
const defaultSize = 500;

/** What happened last, in order: the newest few hundred entries, for who asks later and for who listens. */
export class Journal<Entry extends object> {
  /** When it began, ISO 8601: numbers of another beginning mean nothing here. */
  readonly began = clock.date().toISOString();
  readonly size: number;
  #entries: (Entry & Stamp)[] = [];
  #last = 0;
  readonly #listeners = new Set<(entry: Entry & Stamp) => void>();

  constructor(size = defaultSize) {
    this.size = size;
  }

  /** The number of the newest entry; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  record(entry: Entry): Entry & Stamp {
    this.#last += 1;
    const stamped = Object.freeze({ seq: this.#last, time: clock.date().toISOString(), ...entry });
    this.#entries.push(stamped);
    // Half of it at once, so that forgetting costs nothing on the way of a change.
    if (this.#entries.length >= this.size * 2) this.#entries = this.#entries.slice(-this.size);
    for (const listener of this.#listeners) listener(stamped);
    return stamped;
  }

  /** Those after `seq`, oldest first, as far as they are remembered. A number from the future is of another process: all. */
  since(seq: number): readonly (Entry & Stamp)[] {
    const entries = this.#entries.slice(-this.size);
    return seq > this.#last ? entries : entries.filter((entry) => entry.seq > seq);
  }

  /** Calls `listener` for each new entry, synchronously, until `signal` aborts. It must not throw. */
  listen(listener: (entry: Entry & Stamp) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }
}

/** Puts a value last in a map that holds at most so many: those that were put longest ago go. */
export function keepNewest<K, V>(
  map: Map<K, V>,
  key: K,
  { value, most }: { readonly value: V; readonly most: number },
): void {
  // Deleted first: a key that is there already would keep its old place.
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}
