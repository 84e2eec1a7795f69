import { isDeepStrictEqual } from 'node:util';
import { clock } from '../../common/async/clock.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import type { Instance } from '../../common/instance.ts';
import { oneLine } from '../../common/reason.ts';
import type { Publish, Rejected, SourceContext } from '../source.ts';

/** How much of the name of a record is looked at, characters; less of it is shown. */
const longestWhere = 1_000;

/** Collects one answer of a registry: instances in the source's order, and the records that cannot be used. */
export class InstanceSetBuilder {
  readonly instances: Instance[] = [];
  readonly rejected: Rejected[] = [];
  /** When each of `instances` appeared, where the source knows. */
  readonly sequence: number[] = [];
  readonly #ids = new Set<string>();

  /** Adds what `make` returns; when it throws, the message is why the record at `where` cannot be used. */
  add(where: string, make: () => Instance, appeared?: number): void {
    try {
      const instance = make();
      if (this.#ids.has(instance.id)) throw new Error(`${instance.id} is listed twice, and the first record is used`);
      this.#ids.add(instance.id);
      this.instances.push(instance);
      if (appeared !== undefined) this.sequence.push(appeared);
    } catch (error) {
      this.reject(where, reasonOf(error));
    }
  }

  /** `where` may be a text of the registry, of any length: it becomes one line. */
  reject(where: string, reason: string): void {
    this.rejected.push({ where: oneLine(where.slice(0, longestWhere)), reason });
  }

  addAll(others: InstanceSetBuilder): void {
    for (const instance of others.instances) this.add(instance.id, () => instance);
    this.rejected.push(...others.rejected);
  }
}

/** What a publisher has to know about its source. */
export interface SetPublisherOptions {
  /**
   * True for an instance whose record expires with its announcer: such an instance may be gone because it crashed. Any
   * other one that is no longer listed was taken off the list by someone, and counts as withdrawn. Default: none.
   */
  readonly leased?: (instance: Instance) => boolean;
}

/** Publishes the sets of a source. It remembers the last one over all runs of the source, and tells what changed. */
export class SetPublisher {
  readonly #context: Pick<SourceContext, 'rejected' | 'dropped' | 'gone'>;
  readonly #leased: (instance: Instance) => boolean;
  #instances: readonly Instance[] = [];
  #rejected: readonly Rejected[] = [];
  #sequence: readonly number[] = [];

  constructor(context: Pick<SourceContext, 'rejected' | 'dropped' | 'gone'>, options: SetPublisherOptions = {}) {
    this.#context = context;
    this.#leased = options.leased ?? (() => false);
  }

  /**
   * Begins a run of the source. Its first set is published in any case, later ones only when they differ. Equal
   * instances stay the same objects.
   */
  start(publish: Publish): (set: InstanceSetBuilder) => void {
    let first = true;
    return (set) => {
      const { same, withdrawn } = this.#take(set);
      if (same && !first) return;
      first = false;
      const [instances, rejected, sequence] = [this.#instances, this.#rejected, this.#sequence];
      const order = sequence.length === instances.length ? { sequence } : {};
      publish({ instances, rejected, withdrawn, ...order, seenAt: clock.now() });
    };
  }

  /** Takes a set over. Returns whether it equals the previous one, and the instances that were withdrawn since then. */
  #take(set: InstanceSetBuilder): { readonly same: boolean; readonly withdrawn: ReadonlyMap<string, null> } {
    const gone = new Map(this.#instances.map((instance) => [instance.id, instance]));
    const instances = set.instances.map((instance) => {
      const before = gone.get(instance.id);
      gone.delete(instance.id);
      if (before !== undefined && isDeepStrictEqual(before, instance)) return before;
      const { id, dropped } = instance;
      if (dropped !== undefined) this.#context.dropped({ where: id, reason: dropped.join('; ') });
      return instance;
    });
    const withdrawn = this.#withdrawn(gone.values());
    // Both lists may be as long as a registry can make them.
    const known = new Set(this.#rejected.map(rejectedKey));
    for (const record of set.rejected) {
      if (!known.has(rejectedKey(record))) this.#context.rejected(record);
    }
    const same =
      instances.length === this.#instances.length &&
      instances.every((instance, index) => instance === this.#instances[index]) &&
      isDeepStrictEqual(set.sequence, this.#sequence) &&
      isDeepStrictEqual(set.rejected, this.#rejected);
    this.#instances = instances;
    this.#rejected = [...set.rejected];
    this.#sequence = [...set.sequence];
    return { same, withdrawn };
  }

  #withdrawn(gone: Iterable<Instance>): ReadonlyMap<string, null> {
    const withdrawn = new Map<string, null>();
    for (const instance of gone) {
      const how = instance.state === 'down' || !this.#leased(instance) ? 'withdrawn' : 'expired';
      if (how === 'withdrawn') withdrawn.set(instance.id, null);
      this.#context.gone(instance.id, how);
    }
    return withdrawn;
  }
}

function rejectedKey({ where, reason }: Rejected): string {
  return JSON.stringify([where, reason]);
}
