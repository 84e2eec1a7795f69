/**
 * The numbers HAProxy knows the servers of one backend by. A server keeps its number; a new one gets the lowest that
 * is free; one that left keeps its number for as long as HAProxy still holds it in maintenance.
 */
export interface ServerIds {
  /** The number of a server, given out now when it has none. Undefined when all are taken. */
  claim(name: string, wanted?: number): number | undefined;
  get(name: string): number | undefined;
  /** Its number may be given out again. */
  release(name: string): void;
  /** Forgets everything but these: what runs, then what the file says. */
  reset(known: Iterable<readonly [name: string, id: number]>): void;
}

export function createServerIds(max: number): ServerIds {
  const ids = new Map<string, number>();
  const taken = new Set<number>();
  let lowest = 1;

  const take = (name: string, id: number): number => {
    ids.set(name, id);
    taken.add(id);
    return id;
  };

  return {
    claim(name, wanted) {
      const known = ids.get(name);
      if (known !== undefined) return known;
      if (wanted !== undefined && !taken.has(wanted)) return take(name, wanted);
      while (taken.has(lowest)) lowest += 1;
      return lowest > max ? undefined : take(name, lowest);
    },
    get: (name) => ids.get(name),
    release(name) {
      const id = ids.get(name);
      if (id === undefined) return;
      ids.delete(name);
      taken.delete(id);
      lowest = Math.min(lowest, id);
    },
    reset(known) {
      ids.clear();
      taken.clear();
      lowest = 1;
      for (const [name, id] of known) if (!ids.has(name) && !taken.has(id)) take(name, id);
    },
  };
}
