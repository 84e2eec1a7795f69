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
  const reasons = new Map<string, readonly string[]>();
  const held = new Map<string, readonly HeldServer[]>();
  return {
    reasons,
    get held() {
      return [...held.values()].flat();
    },
    note(service, plan, how) {
      const known = how === 'add' ? (reasons.get(service) ?? []) : [];
      const next = [...new Set([...known, ...plan.reload])];
      const changed = next.join('\n') !== (reasons.get(service) ?? []).join('\n');
      if (next.length === 0) reasons.delete(service);
      else reasons.set(service, next);
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
      for (const map of [reasons, held])
        for (const service of [...map.keys()]) if (!services.has(service)) map.delete(service);
    },
  };
}
