import type { Server, ServerTemplate } from './model.ts';

/**
 * Puts servers in the order of their lines. The shuffle depends on the seed and each server's own name only: the same
 * set gives the same order, and a server that comes or goes moves no other.
 */
export function orderServers(servers: readonly Server[], order: ServerTemplate['order']): readonly Server[] {
  switch (order) {
    case 'asc':
      return [...servers].sort(byName);
    case 'desc':
      return [...servers].sort((a, b) => byName(b, a));
    case 'discovered':
      return servers;
    case 'shuffled':
      return [...servers].sort((a, b) => a.rank - b.rank || byName(a, b));
  }
}

/** Where a name stands in the shuffle: FNV-1a, 32 bits, finished by murmur3's mixer so that like names spread. */
export function rankOf(name: string, seed: string): number {
  let hash = 0x811c9dc5;
  for (const text of [seed, '/', name]) {
    for (let index = 0; index < text.length; index++) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    }
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function byName(a: Server, b: Server): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
