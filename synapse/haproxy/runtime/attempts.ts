import type { ServerChange } from './plan.ts';

/** How often a server was found wrong: what stays wrong after one more try needs a reload. */
export interface Attempts {
  /** HAProxy answered something else than done; `final` when trying again would change nothing. */
  failed(change: Pick<ServerChange, 'backend' | 'name'>, message: string, final: boolean): void;
  /**
   * Of what a reading of a backend finds missing: what is to be tried (again), and for the others why that is no use.
   */
  sort(backend: string, changes: readonly ServerChange[]): Sorted;
  forget(): void;
}

interface Sorted {
  readonly again: readonly ServerChange[];
  /** Reasons for a reload. */
  readonly given: readonly string[];
}

const mostTries = 2;

export function createAttempts(): Attempts {
  /** Backend → server → how often, and what HAProxy said. */
  const known = new Map<string, Map<string, { readonly count: number; readonly message: string | undefined }>>();
  return {
    failed({ backend, name }, message, final) {
      const servers = known.get(backend) ?? new Map();
      known.set(backend, servers);
      servers.set(name, { count: final ? mostTries : 1, message });
    },
    sort(backend, changes) {
      const before = known.get(backend);
      known.delete(backend);
      if (changes.length === 0) return { again: [], given: [] };
      const servers = new Map();
      known.set(backend, servers);
      const again: ServerChange[] = [];
      const given: string[] = [];
      for (const change of changes) {
        const { name } = change;
        const { count = 0, message } = before?.get(name) ?? {};
        servers.set(name, { count: count + 1, message });
        if (count < mostTries) again.push(change);
        else {
          const why = message === undefined ? '' : `: ${message}`;
          given.push(`HAProxy does not ${change.action} ${backend}/${name} at run time${why}`);
        }
      }
      return { again, given };
    },
    forget: () => known.clear(),
  };
}
