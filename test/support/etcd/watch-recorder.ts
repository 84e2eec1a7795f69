import assert from 'node:assert/strict';
import type { PrefixChange } from '../../../common/etcd/watch/reflector.ts';

/** Takes every change of a prefix and checks, as they come, that they are in order, unique and add up. */
export interface Recorder {
  readonly onChange: (change: PrefixChange) => void;
  readonly changes: readonly PrefixChange[];
  /** Key to value, from the changes alone. */
  readonly values: Record<string, string>;
  /** Every value of every put that was seen, in order. */
  readonly puts: readonly string[];
  readonly deletes: readonly string[];
  /** What was wrong with the changes; a test asserts that there is nothing. */
  readonly faults: readonly string[];
}

/** Makes a recorder for one prefix. */
export function createRecorder(): Recorder {
  const changes: PrefixChange[] = [];
  const state = new Map<string, { value: string; modRevision: number }>();
  const puts: string[] = [];
  const deletes: string[] = [];
  const faults: string[] = [];
  let last = 0;
  const seen = new Set<string>();
  return {
    onChange(change) {
      const { changed, reason, entries } = change;
      if ((changes.length === 0) !== (reason === 'list')) faults.push(`change ${changes.length} is a ${reason}`);
      changes.push(change);
      for (const { key, entry, previous } of changed) {
        if (previous?.value.toString() !== state.get(key)?.value) faults.push(`${key}: previous is not what was told`);
        if (entry === undefined) {
          if (!state.delete(key)) faults.push(`${key}: deleted twice`);
          deletes.push(key);
          continue;
        }
        const modRevision = Number(entry.modRevision);
        if (reason === 'watch' && modRevision < last) faults.push(`${key}: ${modRevision} came after ${last}`);
        if (reason === 'watch') last = modRevision;
        const id = `${key}@${modRevision}`;
        if (seen.has(id)) faults.push(`${id}: told twice`);
        seen.add(id);
        state.set(key, { value: entry.value.toString(), modRevision });
        puts.push(entry.value.toString());
      }
      if (reason !== 'watch') last = Number(change.revision);
      if (entries.size !== state.size) faults.push(`${entries.size} entries, ${state.size} after the changes`);
    },
    changes,
    get values() {
      return Object.fromEntries([...state].map(([key, { value }]) => [key, value] as const).sort());
    },
    puts,
    deletes,
    faults,
  };
}

/** Asserts that nothing was wrong with the changes so far. */
export function assertSound(recorder: Recorder): void {
  assert.deepEqual(recorder.faults, []);
}

/** Asserts that what was told is what is there, and names the keys that are wrong. */
export function assertSame(told: Readonly<Record<string, string>>, there: Readonly<Record<string, string>>): void {
  const wrong = {
    missing: Object.keys(there).filter((key) => told[key] === undefined),
    ghosts: Object.keys(told).filter((key) => there[key] === undefined),
    stale: Object.keys(there).filter((key) => told[key] !== undefined && told[key] !== there[key]),
  };
  assert.deepEqual(wrong, { missing: [], ghosts: [], stale: [] });
}
