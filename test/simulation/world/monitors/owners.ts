import type { ITxnRequest } from 'etcd3/lib/rpc.js';
import type { SimulatedProcess } from '../../engine/scheduler.ts';
import type { Committed } from '../../etcd/store.ts';
import { Violation } from '../violation.ts';
import type { World } from '../world.ts';
import { servicesRange } from './announcements.ts';

interface Owner {
  readonly process: SimulatedProcess;
  readonly lease: string;
  readonly isTombstone: boolean;
}

/**
 * At most one process owns a key: a nerve that has written it, and knows that, never changes what another one has written
 * there since, while the lease of the other one lives. Whoever comes first to a key may take it over once, from a predecessor.
 */
export class Owners {
  readonly #world: World;
  /** Key → whose record it has. */
  readonly #owners = new Map<string, Owner>();
  /** Process → keys that it knows to have written, and when. */
  readonly #claimed = new WeakMap<SimulatedProcess, Map<string, number>>();
  /** Takeovers of keys of live owners, for the figures. */
  takeovers = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** A call of a nerve was answered: it knows of a write that was carried out. */
  answered(by: SimulatedProcess, method: string, request: unknown, response: unknown): void {
    if (method !== 'txn' || !(response as { readonly succeeded?: boolean }).succeeded) return;
    for (const { request_put: put } of (request as ITxnRequest).success ?? []) {
      if (put?.key == null) continue;
      const keys = this.#claimed.get(by) ?? new Map<string, number>();
      this.#claimed.set(by, keys.set(String(put.key), this.#world.scheduler.now()));
    }
  }

  /** @throws {Violation} when a nerve changes a record of another one */
  take({ events }: Committed, by: SimulatedProcess | undefined): void {
    for (const { type, key, kv } of events) {
      if (!key.startsWith(servicesRange.key)) continue;
      const owner = this.#owners.get(key);
      const isOther = owner !== undefined && by !== undefined && owner.process !== by && !owner.isTombstone;
      if (isOther && this.#world.etcd.leases.has(owner.lease)) {
        if (this.#knows(by, key)) {
          throw new Violation(`${by.name} changes ${key}, which ${owner.process.name} has written since`);
        }
        // What a killed nerve has sent may be carried out while its lease lives; that of one that stopped may not.
        if (this.#endedInOrder(by) && owner.process.alive) {
          throw new Violation(`a late write of ${by.name}, which has ended, changes ${key} of ${owner.process.name}`);
        }
        this.takeovers += 1;
      }
      if (type === 'delete' || by === undefined) this.#owners.delete(key);
      else {
        const isTombstone = kv.value.includes('"state":"down"');
        this.#owners.set(key, { process: by, lease: kv.lease, isTombstone });
      }
    }
  }

  #endedInOrder(by: SimulatedProcess): boolean {
    const { nerves, twins } = this.#world;
    return [...nerves, ...twins.values()].some(({ endedInOrder }) => endedInOrder.has(by));
  }

  /** It has written the key since its configuration last changed: a key that leaves the configuration is forgotten. */
  #knows(by: SimulatedProcess, key: string): boolean {
    const at = this.#claimed.get(by)?.get(key);
    const { nerves, twins } = this.#world;
    const nerve = [...nerves, ...twins.values()].find(({ process }) => process === by);
    return at !== undefined && at >= (nerve?.configuredAt ?? 0);
  }
}
