import { setFlagsFromString } from 'node:v8';

/**
 * Lets the heap grow in small steps, so that the daemon stays about as large as what it holds. By itself, V8 lets the
 * heap of a process grow to several times that before it collects what is no longer used, the more the larger the
 * machine is. It costs a little processor time while much changes.
 *
 * There is no upper limit: a daemon whose registry grows must not end because of it. Set here and not with NODE_OPTIONS,
 * which the programs that a daemon starts would take over. Call it before anything large is loaded.
 */
export function keepHeapSmall(): void {
  // Both are read by V8 at each collection. The old generation is collected when it has grown by a fifth.
  setFlagsFromString('--heap-growing-percent=20');
  // The young generation stays at its initial size.
  setFlagsFromString('--semi-space-growth-factor=1');
}
