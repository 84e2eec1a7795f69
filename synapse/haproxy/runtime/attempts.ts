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
  /** `backend/server` → how often, and what HAProxy said. */
  const known = new Map<string, { readonly count: number; readonly message: string | undefined }>();
  return {
    failed({ backend, name }, message, final) {
      known.set(`${backend}/${name}`, { count: final ? mostTries : 1, message });
    },
    sort(backend, changes) {
      const needed = new Set(changes.map(({ name }) => name));
      for (const key of [...known.keys()]) {
        if (key.startsWith(`${backend}/`) && !needed.has(key.slice(backend.length + 1))) known.delete(key);
      }
      const again: ServerChange[] = [];
      const given: string[] = [];
      for (const change of changes) {
        const key = `${backend}/${change.name}`;
        const { count = 0, message } = known.get(key) ?? {};
        known.set(key, { count: count + 1, message });
        if (count < mostTries) again.push(change);
        else
          given.push(
            `HAProxy does not ${change.action} ${key} at run time${message === undefined ? '' : `: ${message}`}`,
          );
      }
      return { again, given };
    },
    forget: () => known.clear(),
  };
}
