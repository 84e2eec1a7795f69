import { closest, distance } from 'fastest-levenshtein';

/** The known word that `word` is most likely a misspelling of. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const near = closest(word, known);
  return distance(word, near) <= Math.max(2, Math.floor(near.length / 3)) ? near : undefined;
}

/** The end of a message about an unknown word: the nearest known word, or all known ones. */
export function knownHint(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`;
}
