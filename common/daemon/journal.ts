import { onAbort } from '../async/abort.ts';
import { clock } from '../async/clock.ts';

/** What every entry carries: a number that only grows, and the time it was recorded. */
export interface Stamp {
  /** 1, 2, 3, … since this process started. */
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly time: string;
}

/** How many entries a journal keeps, some hundred bytes each. */
const defaultSize = 500;

/** The newest few hundred entries in order, to read later or to listen to. */
export class Journal<Entry extends object> {
  /** When the journal began, ISO 8601. Entry numbers of a journal that began at another time have no meaning here. */
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

  /** Adds an entry, and calls the listeners. @returns the entry as it is kept */
  record(entry: Entry): Entry & Stamp {
    this.#last += 1;
    const stamped = Object.freeze({ seq: this.#last, time: clock.date().toISOString(), ...entry });
    this.#entries.push(stamped);
    // Drops half of the entries at once, so that most calls only append: changes on their way to HAProxy pass here.
    if (this.#entries.length >= this.size * 2) this.#entries = this.#entries.slice(-this.size);
    for (const listener of this.#listeners) listener(stamped);
    return stamped;
  }

  /** The kept entries after `seq`, oldest first; all of them for a number that was never given: it is of another process. */
  since(seq: number): readonly (Entry & Stamp)[] {
    const entries = this.#entries.slice(-this.size);
    return seq > this.#last ? entries : entries.filter((entry) => entry.seq > seq);
  }

  /** Calls `listener` for each new entry, synchronously, until `signal` aborts. It must not throw. */
  listen(listener: (entry: Entry & Stamp) => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    onAbort(signal, () => this.#listeners.delete(listener));
  }
}
