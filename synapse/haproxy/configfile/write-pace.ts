import type { FileUse } from '../options/config.ts';

/** The changes that the file lacks. */
export interface PendingChanges {
  /** When the first of them came, by `clock.now()`. */
  readonly since: number;
  /** Only the file can bring them about. */
  readonly urgent: boolean;
  /** Somebody waits until the file has them. */
  readonly awaited?: boolean;
}

/** The last write of the file. */
export interface LastWrite {
  /** When it ended, by `clock.now()`. */
  readonly at: number;
  /** Its duration, with the check. */
  readonly tookMs: number;
}

/** Changes of servers that come within this time are written together. */
const mergeMs = 300;
/** A program that watches the file misses a second write while it loads the first. */
const watchedGapMs = 1_000;
/** Where each write costs a reload, and only a start after a crash needs the servers that are live already. */
const watchedDelayMs = 30_000;
/** The minimum gap between two writes, as a multiple of the last duration: the check of a large file keeps a processor busy. */
const idleFactor = 3;

/** When the pending changes may be written, by `clock.now()`. */
export function nextWriteAt(use: FileUse, { since, urgent, awaited }: PendingChanges, last: LastWrite): number {
  const rested = last.at + idleFactor * last.tookMs;
  switch (use) {
    case 'merged':
      if (urgent) return since;
      return awaited ? Math.max(since, rested) : Math.max(since + mergeMs, last.at + mergeMs, rested);
    case 'only':
      return Math.max(since, last.at + watchedGapMs, rested);
    case 'watched':
      return Math.max(urgent || awaited ? since : since + watchedDelayMs, last.at + watchedGapMs, rested);
  }
}
