/** Puts a value last in a map that holds at most so many: those that were put longest ago go. */
export function keepNewest<K, V>(
  map: Map<K, V>,
  key: K,
  { value, most }: { readonly value: V; readonly most: number },
): void {
  // Deleted first: a key that is there already would keep its old place.
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}
