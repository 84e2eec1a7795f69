import { clock, type Timer } from '../../async/clock.ts';
import type { KeyChange, OnChange, PrefixChange } from './prefix-state.ts';

export interface DelayDeletesOptions {
  /** Whether the loss of this key may be a mistake of the server's. */
  readonly mayReturn: (lost: KeyChange) => boolean;
  /** How long its owner has to put it again, milliseconds. */
  readonly delayMs: number;
}

/**
 * Passes changes on, but holds back the loss of a key that is in doubt until its owner has had the time to put it again;
 * if that happens, nobody hears of the loss. Needed on servers that revoke leases which are kept alive: their owners
 * notice at the next renewal and put their keys again at once.
 */
export function delayDeletes(onChange: OnChange, options: DelayDeletesOptions, signal: AbortSignal): OnChange {
  const { mayReturn, delayMs } = options;
  const held = new Map<string, Timer>();
  /** What was told last, to be told again with the losses that turned out to be true. */
  let last: PrefixChange | undefined;

  const release = (key: string): void => {
    clock.clearTimeout(held.get(key));
    held.delete(key);
  };
  const confirm = (lost: KeyChange): void => {
    held.delete(lost.key);
    if (last !== undefined) onChange({ ...last, changed: [lost], seenAt: clock.now(), reason: 'watch' });
  };
  signal.addEventListener('abort', () => [...held.keys()].forEach(release), { once: true });

  return (change) => {
    last = change;
    const changed: KeyChange[] = [];
    for (const item of change.changed) {
      const loss = item.entry === undefined;
      release(item.key);
      if (loss && !signal.aborted && mayReturn(item))
        held.set(
          item.key,
          clock.setTimeout(() => confirm(item), delayMs),
        );
      else changed.push(item);
    }
    // A first list is passed on even when it is empty: nothing is there, and that is known now.
    if (changed.length === 0 && change.changed.length > 0) return;
    // A whole list would say by itself that a key in doubt is gone: where one is, only what differs is told.
    onChange(held.size === 0 ? change : { ...change, changed, reason: 'watch' });
  };
}
