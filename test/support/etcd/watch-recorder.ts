import assert from 'node:assert/strict';
import type { PrefixChange } from '../../../common/etcd/watch/prefix-state.ts';

/** Records every change of a prefix, and checks that the changes are in order, unique and add up. */
export interface Recorder {
  readonly onChange: (change: PrefixChange) => void;
  readonly changes: readonly PrefixChange[];
  /** Key to value, from the changes only. */
  readonly values: Record<string, string>;
  /** The value of every put, in order. */
  readonly puts: readonly string[];
  readonly deletes: readonly string[];
  /** What was wrong with the changes; see {@link assertSound}. */
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
        if (previous?.value.toString() !== state.get(key)?.value)
          faults.push(`${key}: previous is not the recorded value`);
        if (entry === undefined) {
          if (!state.delete(key)) faults.push(`${key}: deleted twice`);
          deletes.push(key);
          continue;
        }
        const modRevision = Number(entry.modRevision);
        if (reason === 'watch' && modRevision < last) faults.push(`${key}: ${modRevision} came after ${last}`);
        if (reason === 'watch') last = modRevision;
        const id = `${key}@${modRevision}`;
        if (seen.has(id)) faults.push(`${id}: passed on twice`);
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

/** Asserts that the changes so far were in order, unique and added up. */
export function assertSound(recorder: Recorder): void {
  assert.deepEqual(recorder.faults, []);
}

/** Asserts that the recorded keys are those in etcd, and names the keys that differ. */
export function assertSame(recorded: Readonly<Record<string, string>>, stored: Readonly<Record<string, string>>): void {
  const wrong = {
    missing: Object.keys(stored).filter((key) => recorded[key] === undefined),
    extra: Object.keys(recorded).filter((key) => stored[key] === undefined),
    stale: Object.keys(stored).filter((key) => recorded[key] !== undefined && recorded[key] !== stored[key]),
  };
  assert.deepEqual(wrong, { missing: [], extra: [], stale: [] });
}
