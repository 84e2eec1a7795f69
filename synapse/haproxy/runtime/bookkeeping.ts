import type { Log } from '../../../common/daemon/log.ts';
import { type ReloadReason, serverReason } from '../spec/reload-reason.ts';
import type { HeldServer, Plan, ServerChange } from './plan.ts';

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
  readonly given: readonly ReloadReason[];
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
      const given: ReloadReason[] = [];
      for (const change of changes) {
        const { name } = change;
        const { count = 0, message } = before?.get(name) ?? {};
        servers.set(name, { count: count + 1, message });
        if (count < mostTries) again.push(change);
        else {
          const why = message === undefined ? '' : `: ${message}`;
          given.push(serverReason(`HAProxy does not ${change.action} ${backend}/${name} at run time${why}`));
        }
      }
      return { again, given };
    },
    forget: () => known.clear(),
  };
}

/** What plans leave open, by service: reasons for a reload, and servers that somebody else has set to something. */
export interface Outstanding {
  readonly reasons: ReadonlyMap<string, readonly ReloadReason[]>;
  readonly held: readonly HeldServer[];
  /** Takes a plan of a whole service (`replace`), or of some of its servers (`add`). */
  note(service: string, plan: Pick<Plan, 'reload' | 'held'>, how: 'add' | 'replace'): void;
  /** Forgets services that are not there any more. */
  keepOnly(services: { has(service: string): boolean }): void;
}

/** `onChange` is called when the reasons are others than before. */
export function createOutstanding(log: Log, onChange: () => void): Outstanding {
  const reasons = new Map<string, ReloadReason[]>();
  const held = new Map<string, readonly HeldServer[]>();
  /** The texts in each list of `reasons`: thousands of servers may come one by one, each with a reason of its own. */
  const known = new Map<string, Set<string>>();

  const add = (service: string, more: readonly ReloadReason[]): boolean => {
    if (more.length === 0) return false;
    const list = reasons.get(service) ?? [];
    const seen = known.get(service) ?? new Set();
    const before = seen.size;
    for (const reason of more) {
      if (seen.has(reason.text)) continue;
      seen.add(reason.text);
      list.push(reason);
    }
    reasons.set(service, list);
    known.set(service, seen);
    return seen.size > before;
  };
  const replace = (service: string, reload: readonly ReloadReason[]): boolean => {
    const before = reasons.get(service) ?? [];
    reasons.delete(service);
    known.delete(service);
    add(service, reload);
    const now = reasons.get(service) ?? [];
    return now.length !== before.length || now.some(({ text }, index) => text !== before[index]?.text);
  };

  return {
    reasons,
    get held() {
      return [...held.values()].flat();
    },
    note(service, plan, how) {
      const changed = how === 'add' ? add(service, plan.reload) : replace(service, plan.reload);
      if (how === 'replace') {
        const before = held.get(service) ?? [];
        for (const server of plan.held) {
          if (!before.some((other) => other.name === server.name && other.held === server.held)) {
            log.warn('a server was changed by hand and stays so', { ...server });
          }
        }
        held.set(service, plan.held);
      }
      if (changed) onChange();
    },
    keepOnly(services) {
      for (const map of [reasons, known, held])
        for (const service of [...map.keys()]) if (!services.has(service)) map.delete(service);
    },
  };
}

/** Which backends had commands since they were last read, and since a reading was asked for. */
export interface Touches {
  /** Backends to read again. */
  readonly unread: ReadonlySet<string>;
  /** A backend has commands under way. */
  touch(backend: string): void;
  /** It has been read. */
  read(backend: string): void;
  /** Remembers this moment: a reading that is asked for now is stale for what is touched from now on. */
  moment(): { isStale(backend: string): boolean };
  forget(): void;
}

export function createTouches(): Touches {
  /** Only grows, and so tells a reading that was asked for earlier. */
  const counts = new Map<string, number>();
  const unread = new Set<string>();
  return {
    unread,
    touch(backend) {
      counts.set(backend, (counts.get(backend) ?? 0) + 1);
      unread.add(backend);
    },
    read: (backend) => void unread.delete(backend),
    moment() {
      const then = new Map(counts);
      return { isStale: (backend) => counts.get(backend) !== then.get(backend) };
    },
    forget() {
      counts.clear();
      unread.clear();
    },
  };
}
