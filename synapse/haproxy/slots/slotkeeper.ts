import { createDesiredService, type DesiredService } from '../model/desired.ts';
import type { Structure } from '../model/model.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { type Assignment, assignSlots, type Candidate, createSlots, occupied, type Slot } from './slots.ts';

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
  readonly structure: Structure | undefined;
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
  const structures = new WeakMap<Candidate['structure'], Structure>();
  let current: Assignment = {
    occupants: new Map(),
    ports: new Map(),
    own: new Map(),
    refused: new Map(),
    blocked: new Set(),
  };

  const structureFor = (slot: Slot, { occupants, blocked }: Assignment): Structure | undefined => {
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
