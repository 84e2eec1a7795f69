import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { onAbort } from '../../../../common/async/abort.ts';

/**
 * Calls `onChange` after changes of a file or folder, until `signal` aborts. Watches also the folder that it is in, because a
 * rename replaces the file by another one.
 * @returns a function that opens the watches, and later again those that failed or were lost
 */
export function watchChanges(path: string, onChange: () => void, signal: AbortSignal): () => void {
  const watchers = new Map<string, FSWatcher>();
  const close = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  onAbort(signal, () => [...watchers.keys()].forEach(close));
  return () => {
    for (const folder of new Set([path, dirname(path)])) {
      if (watchers.has(folder) || signal.aborted) continue;
      try {
        const watcher = watch(folder, { persistent: false }, (event, name) => {
          // Not every event names its file. When the folder itself was replaced, this is the watch of the old one.
          if (event === 'rename' && (name === null || name === basename(folder))) close(folder);
          onChange();
        });
        watcher.on('error', () => close(folder));
        watchers.set(folder, watcher);
      } catch {
        // The folder does not exist yet, or the system has no more watches: the poll finds the changes then.
      }
    }
  };
}
