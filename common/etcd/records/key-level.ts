/** How deep a key is: the number of its parts between slashes. */
export function levelOf(key: string): number {
  let level = 1;
  for (let at = key.indexOf('/'); at !== -1; at = key.indexOf('/', at + 1)) level += 1;
  return level;
}

/**
 * True when the record at `key` counts for an instance that is, or was, announced at `other`: when it is not deeper. A right to
 * write the keys that begin with the name of one host is also one to write deeper keys, which end in the id of any instance.
 */
export function countsFor(key: string, other: string): boolean {
  return key === other || levelOf(key) <= levelOf(other);
}
