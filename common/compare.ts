/** Orders texts by their UTF-16 code units, the same on every machine: for `sort` and `toSorted`. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Where two lists differ: from `start` up to, not including, `endBefore` and `endAfter`. */
export interface DifferentPart {
  readonly start: number;
  readonly endBefore: number;
  readonly endAfter: number;
}

/** Finds the part in which two lists do not have the same objects: one change among thousands costs microseconds. */
export function differentPart<T>(before: readonly T[], after: readonly T[]): DifferentPart {
  let start = 0;
  let endBefore = before.length;
  let endAfter = after.length;
  while (start < endBefore && start < endAfter && before[start] === after[start]) start += 1;
  while (endBefore > start && endAfter > start && before[endBefore - 1] === after[endAfter - 1]) {
    endBefore -= 1;
    endAfter -= 1;
  }
  return { start, endBefore, endAfter };
}
