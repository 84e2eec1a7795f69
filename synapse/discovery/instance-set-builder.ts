import { isDeepStrictEqual } from 'node:util';
import { clock } from '../../common/async/clock.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import type { Instance } from '../../common/instance.ts';
import type { Publish, Rejected, SourceContext } from '../source.ts';

/** What one look at the outside found: instances in the source's order, and records that cannot be used. */
export class Findings {
  readonly instances: Instance[] = [];
  readonly rejected: Rejected[] = [];
  /** When each of `instances` appeared, where the source knows. */
  readonly sequence: number[] = [];
  readonly #ids = new Set<string>();

  /** Takes what `make` returns; what it throws becomes the reason why the record at `where` cannot be used. */
  add(where: string, make: () => Instance, appeared?: number): void {
    try {
      const instance = make();
      if (this.#ids.has(instance.id)) throw new Error(`${instance.id} was there already, the first one is used`);
      this.#ids.add(instance.id);
      this.instances.push(instance);
      if (appeared !== undefined) this.sequence.push(appeared);
    } catch (error) {
      this.reject(where, reasonOf(error));
    }
  }

  reject(where: string, reason: string): void {
    this.rejected.push({ where, reason });
  }

  addAll(others: Findings): void {
    for (const instance of others.instances) this.add(instance.id, () => instance);
    this.rejected.push(...others.rejected);
  }
}

/** Hands findings over as sets. It remembers over all runs of a source what it published last. */
export interface Publisher {
  /**
   * Begins a run: its first findings are published in any case, later ones only when they differ. Equal instances stay
   * the objects they were.
   */
  start(publish: Publish): (found: Findings) => void;
}

/**
 * `leased` is for sources whose records, or some of them, vanish by themselves when their announcer does. Elsewhere what
 * is no longer listed was taken off the list by someone.
 */
export function createPublisher(
  context: Pick<SourceContext, 'rejected' | 'gone'>,
  { leased = () => false }: { readonly leased?: (instance: Instance) => boolean } = {},
): Publisher {
  let instances: readonly Instance[] = [];
  let rejected: readonly Rejected[] = [];
  let sequence: readonly number[] = [];

  /** Takes the findings over. Undefined when they say the same as those before. */
  const take = (found: Findings): ReadonlySet<string> | undefined => {
    const gone = new Map(instances.map((instance) => [instance.id, instance]));
    const next = found.instances.map((instance) => {
      const before = gone.get(instance.id);
      gone.delete(instance.id);
      return before !== undefined && isDeepStrictEqual(before, instance) ? before : instance;
    });
    const withdrawn = new Set<string>();
    for (const instance of gone.values()) {
      const orderly = instance.state === 'down' || !leased(instance);
      if (orderly) withdrawn.add(instance.id);
      context.gone(instance.id, orderly ? 'withdrawn' : 'expired');
    }
    for (const record of found.rejected) {
      if (!rejected.some((other) => isDeepStrictEqual(other, record))) context.rejected(record);
    }
    const same =
      next.length === instances.length &&
      next.every((instance, index) => instance === instances[index]) &&
      isDeepStrictEqual(found.sequence, sequence) &&
      isDeepStrictEqual(found.rejected, rejected);
    instances = next;
    rejected = [...found.rejected];
    sequence = [...found.sequence];
    return same ? undefined : withdrawn;
  };

  return {
    start(publish) {
      let first = true;
      return (found) => {
        const withdrawn = take(found) ?? (first ? new Set<string>() : undefined);
        first = false;
        if (withdrawn === undefined) return;
        const order = sequence.length === instances.length ? { sequence } : {};
        publish({ instances, rejected, withdrawn, ...order, seenAt: clock.now() });
      };
    },
  };
}
