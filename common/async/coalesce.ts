/** Marks a key dirty; the key will be handed to a run that starts after this call. */
export type MarkDirty<Key> = (key: Key) => void;

/**
 * Merges a burst of changes into one run. The first change runs at once (in a microtask, so that all changes of one
 * event-loop callback share it); what arrives while a run is under way is merged into the next one. There is no quiet
 * period: nothing waits for a burst to end.
 *
 * `run` must not reject: it handles its own errors, and touches the keys again that it failed on.
 */
export function coalesce<Key>(run: (dirty: ReadonlySet<Key>) => Promise<void>, signal: AbortSignal): MarkDirty<Key> {
  let dirty = new Set<Key>();
  let scheduled = false;

  const drain = async (): Promise<void> => {
    while (dirty.size > 0 && !signal.aborted) {
      const batch = dirty;
      dirty = new Set();
      await run(batch);
    }
    scheduled = false;
  };

  return (key) => {
    if (signal.aborted) return;
    dirty.add(key);
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(drain);
  };
}
