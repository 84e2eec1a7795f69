import type { Log } from '../../../common/log.ts';
import type { HeldServer, Plan } from './plan.ts';

/** What plans leave open, by service: reasons for a reload, and servers that somebody else has set to something. */
export interface Outstanding {
  readonly reasons: ReadonlyMap<string, readonly string[]>;
  readonly held: readonly HeldServer[];
  /** Takes a plan of a whole service (`replace`), or of some of its servers (`add`). */
  note(service: string, plan: Pick<Plan, 'reload' | 'held'>, how: 'add' | 'replace'): void;
  /** Forgets services that are not there any more. */
  keepOnly(services: { has(service: string): boolean }): void;
}

/** `onChange` is called when the reasons are others than before. */
export function createOutstanding(log: Log, onChange: () => void): Outstanding {
  const reasons = new Map<string, string[]>();
  const held = new Map<string, readonly HeldServer[]>();
  /** What is in each list of `reasons`: thousands of servers may come one by one, each with a reason of its own. */
  const known = new Map<string, Set<string>>();

  const add = (service: string, more: readonly string[]): boolean => {
    if (more.length === 0) return false;
    const list = reasons.get(service) ?? [];
    const seen = known.get(service) ?? new Set();
    const before = seen.size;
    for (const reason of more) {
      if (seen.has(reason)) continue;
      seen.add(reason);
      list.push(reason);
    }
    reasons.set(service, list);
    known.set(service, seen);
    return seen.size > before;
  };
  const replace = (service: string, reload: readonly string[]): boolean => {
    const before = reasons.get(service) ?? [];
    reasons.delete(service);
    known.delete(service);
    add(service, reload);
    const now = reasons.get(service) ?? [];
    return now.length !== before.length || now.some((reason, index) => reason !== before[index]);
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
