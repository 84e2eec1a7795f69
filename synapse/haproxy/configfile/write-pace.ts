import type { FileUse } from '../options/config.ts';

/** What there is to write. */
export interface Pending {
  /** When the first change came that the file lacks. */
  readonly since: number;
  /** There is no other way for it than the file. */
  readonly urgent: boolean;
}

/** When the file was written last, and how long that took with its check. */
export interface LastWrite {
  readonly at: number;
  readonly took: number;
}

/** Changes of membership are merged for so long; milliseconds. */
const mergeTime = 300;
/** Somebody who watches the file misses a second write while he loads the first; milliseconds. */
const watchedGap = 1_000;
/** Where a write costs a reload and nothing is gained by it but a right start after a crash; milliseconds. */
const watchedDelay = 30_000;
/** A large file takes long to check: it must not keep a processor busy. */
const idleFactor = 3;

/** When the pending changes may be written, by the clock of its arguments; milliseconds. */
export function writeTime(use: FileUse, { since, urgent }: Pending, last: LastWrite): number {
  const rested = last.at + idleFactor * last.took;
  switch (use) {
    case 'merged':
      return urgent ? since : Math.max(since + mergeTime, last.at + mergeTime, rested);
    case 'only':
      return Math.max(since, last.at + watchedGap, rested);
    case 'watched':
      return Math.max(urgent ? since : since + watchedDelay, last.at + watchedGap, rested);
  }
}
