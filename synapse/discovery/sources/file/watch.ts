import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/**
 * Watches the folder, not the file: a file that is replaced by a rename is another file. Returns what opens the watches
 * that could not be opened before, or were lost.
 */
export function watchChanges(path: string, onChange: () => void, signal: AbortSignal): () => void {
  const watchers = new Map<string, FSWatcher>();
  const close = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  signal.addEventListener('abort', () => [...watchers.keys()].forEach(close), { once: true });
  return () => {
    for (const folder of new Set([path, dirname(path)])) {
      if (watchers.has(folder) || signal.aborted) continue;
      try {
        const watcher = watch(folder, { persistent: false }, (event, name) => {
          // Not every event names its file. A folder that is replaced is no longer the one we watch.
          if (event === 'rename' && (name === null || name === basename(folder))) close(folder);
          onChange();
        });
        watcher.on('error', () => close(folder));
        watchers.set(folder, watcher);
      } catch {
        // No such folder yet, or no more watches to be had: then the regular reading finds the changes.
      }
    }
  };
}
