import { onAbort } from '../../async/abort.ts';
import { clock, type Timer } from '../../async/clock.ts';
import type { KeyChange, OnChange, PrefixChange } from './prefix-state.ts';

/** Which deletes are delayed, and how long. */
export interface DelayDeletesOptions {
  /** True when etcd may have deleted this key by mistake, so that its owner may put it again. */
  readonly mayReturn: (deleted: KeyChange) => boolean;
  /** How long its owner has to put it again. */
  readonly delayMs: number;
}

/**
 * Passes changes on to `onChange`, but delays the delete of a key that may return: when its owner puts it again in time,
 * the delete is never passed on. Needed for servers that revoke leases which are kept alive: the owners notice that at
 * their next renewal, and put their keys again at once.
 */
export function delayDeletes(onChange: OnChange, options: DelayDeletesOptions, signal: AbortSignal): OnChange {
  const delayed = new DelayedDeletes(onChange, options, signal);
  return (change) => delayed.take(change);
}

class DelayedDeletes {
  readonly #onChange: OnChange;
  readonly #options: DelayDeletesOptions;
  readonly #signal: AbortSignal;
  /** A timer for each delayed delete, by its key. */
  readonly #timers = new Map<string, Timer>();
  /** The last change: a delete whose delay is over is passed on as another change of it. */
  #last: PrefixChange | undefined;

  constructor(onChange: OnChange, options: DelayDeletesOptions, signal: AbortSignal) {
    this.#onChange = onChange;
    this.#options = options;
    this.#signal = signal;
    onAbort(signal, () => {
      for (const key of [...this.#timers.keys()]) this.#cancel(key);
    });
  }

  take(change: PrefixChange): void {
    this.#last = change;
    const changed: KeyChange[] = [];
    for (const item of change.changed) {
      this.#cancel(item.key);
      if (item.entry === undefined && !this.#signal.aborted && this.#options.mayReturn(item)) this.#delay(item);
      else changed.push(item);
    }
    // A first list is passed on even when it is empty: it says that there are no keys.
    if (changed.length === 0 && change.changed.length > 0) return;
    // A whole list would say that the keys of delayed deletes are gone: then only the differences are passed on.
    this.#onChange(this.#timers.size === 0 ? change : { ...change, changed, reason: 'watch' });
  }

  #delay(deleted: KeyChange): void {
    const timer = clock.setTimeout(() => this.#passOn(deleted), this.#options.delayMs);
    this.#timers.set(deleted.key, timer);
  }

  #cancel(key: string): void {
    clock.clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
  }

  #passOn(deleted: KeyChange): void {
    this.#timers.delete(deleted.key);
    if (this.#last === undefined) return;
    this.#onChange({ ...this.#last, changed: [deleted], seenAt: clock.now(), reason: 'watch' });
  }
}
