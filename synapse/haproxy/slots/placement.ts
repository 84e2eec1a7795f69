import type { Log } from '../../../common/log.ts';
import type { Snapshot } from '../../output.ts';
import type { Structure } from '../model/model.ts';
import type { Structures } from '../model/structures.ts';
import type { ServiceHaproxyConfig } from '../options/serviceconfig.ts';
import type { SlotChange, SlotKeeper } from './slotkeeper.ts';
import type { Candidate } from './slots.ts';

/** Gives services the slots of `reload_free_services`. */
export interface Placement {
  /** Anew when the structure of any dirty service changed; returns the slots that have another occupant now. */
  assign(snapshot: Snapshot<ServiceHaproxyConfig>, dirty: ReadonlySet<string>): readonly SlotChange[];
}

export function createPlacement(slots: SlotKeeper, structures: Structures, log: Log): Placement {
  /** Service → the structure with which it was last given a place. */
  const placed = new Map<string, Structure>();

  const isChanged = (snapshot: Snapshot<ServiceHaproxyConfig>, dirty: ReadonlySet<string>): boolean => {
    let changed = placed.size === 0 && slots.all.every(({ wanted }) => wanted === undefined);
    for (const name of dirty) {
      const state = snapshot.get(name);
      const structure = state && structures.of(name, state.config);
      if (placed.get(name) === structure) continue;
      changed = true;
      if (structure === undefined) placed.delete(name);
      else placed.set(name, structure);
    }
    return changed;
  };

  return {
    assign(snapshot, dirty) {
      if (slots.all.length === 0 || !isChanged(snapshot, dirty)) return [];
      const candidates: Candidate[] = [];
      for (const { name, config } of snapshot.values()) {
        const structure = placed.get(name);
        if (structure !== undefined) candidates.push({ service: name, structure, config });
      }
      const before = new Map([...slots.own, ...slots.refused]);
      const changes = slots.assign(candidates);
      for (const [service, reason] of slots.refused) {
        if (before.get(service) !== reason) log.error('a service cannot be in HAProxy', { service, reason });
      }
      for (const [service, reason] of slots.own) {
        if (before.get(service) === reason) continue;
        log.warn('a service on a port of reload_free_services needs reloads', { service, reason });
      }
      return changes;
    },
  };
}
