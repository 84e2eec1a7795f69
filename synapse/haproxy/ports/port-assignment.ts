import type { Log } from '../../../common/daemon/log.ts';
import type { Snapshot } from '../../output.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { BackendSpecs } from '../spec/backends.ts';
import { createDesiredService, type DesiredService } from '../spec/desired-service.ts';
import type { BackendSpec } from '../spec/types.ts';
import { type Assignment, assignSlots, type Candidate, createSlots, occupied, type Slot } from './port-pool.ts';

/** Remembers which service is in which slot. */
export interface SlotKeeper {
  /** All slots, in the order of their ports. */
  readonly all: readonly DesiredService[];
  /** Where a service is kept, if that is a slot. */
  of(service: string): DesiredService | undefined;
  /**
   * Takes the services of a snapshot, in the order of the configuration, and returns the slots that are to have another
   * structure now; the first time, that is all of them. An undefined structure: no slot any more.
   */
  assign(candidates: Iterable<Candidate>): readonly SlotChange[];
  /** Service → why it is on one of the ports and has a frontend of its own all the same. */
  readonly own: ReadonlyMap<string, string>;
  /** Service whose port another one has → why it is not in HAProxy. */
  readonly refused: ReadonlyMap<string, string>;
  /** Service → its backend. */
  readonly backends: Readonly<Record<string, string>>;
}

/** One slot that has to change. */
export interface SlotChange {
  readonly desired: DesiredService;
  readonly structure: BackendSpec | undefined;
  /** Who is there now; undefined: nobody. */
  readonly occupant: string | undefined;
}

/** Makes it; nothing is assigned yet. */
export function createSlotKeeper(config: HaproxyConfig): SlotKeeper {
  const slots = createSlots(config);
  const keepers = new Map<number, DesiredService>();
  for (const { port, vacant } of slots.values()) {
    keepers.set(port, createDesiredService(vacant.backend, config.max_server_id));
  }
  const structures = new WeakMap<Candidate['structure'], BackendSpec>();
  let current: Assignment = {
    occupants: new Map(),
    ports: new Map(),
    own: new Map(),
    refused: new Map(),
    blocked: new Set(),
  };

  const structureFor = (slot: Slot, { occupants, blocked }: Assignment): BackendSpec | undefined => {
    if (blocked.has(slot.port)) return undefined;
    const candidate = occupants.get(slot.port);
    if (candidate === undefined) return slot.vacant;
    let structure = structures.get(candidate.structure);
    if (structure === undefined) {
      structure = occupied(slot, candidate);
      structures.set(candidate.structure, structure);
    }
    return structure;
  };

  return {
    all: [...keepers.values()],
    of(service) {
      const port = current.ports.get(service);
      return port === undefined ? undefined : keepers.get(port);
    },
    assign(candidates) {
      current = assignSlots(slots, candidates);
      const changes: SlotChange[] = [];
      for (const slot of slots.values()) {
        const desired = keepers.get(slot.port) as DesiredService;
        const structure = structureFor(slot, current);
        if (structure !== desired.wanted) {
          changes.push({ desired, structure, occupant: current.occupants.get(slot.port)?.service });
        }
      }
      return changes;
    },
    get own() {
      return current.own;
    },
    get refused() {
      return current.refused;
    },
    get backends() {
      const taken = [...current.occupants].map(([port, { service }]) => [service, slots.get(port)?.vacant.backend]);
      return Object.fromEntries(taken) as Record<string, string>;
    },
  };
}

/** Gives services the slots of `reload_free_services`. */
export interface Placement {
  /** Anew when the structure of any dirty service changed; returns the slots that have another occupant now. */
  assign(snapshot: Snapshot, dirty: ReadonlySet<string>): readonly SlotChange[];
}

export function createPlacement(slots: SlotKeeper, structures: BackendSpecs, log: Log): Placement {
  /** Service → the structure with which it was last given a place. */
  const placed = new Map<string, BackendSpec>();

  const isChanged = (snapshot: Snapshot, dirty: ReadonlySet<string>): boolean => {
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
