/** Puts a value at the end of a map that holds at most `most` entries; the entries put first are removed. */
export function keepNewest<K, V>(
  map: Map<K, V>,
  key: K,
  { value, most }: { readonly value: V; readonly most: number },
): void {
  // `set` alone would leave a key that exists in its old place.
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}
