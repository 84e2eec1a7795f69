import type { RecordOrigin } from '../../../common/etcd/records/record-origin.ts';
import type { Instance } from '../../../common/instance.ts';
import { filterSet } from '../../catalog/filter-set.ts';
import { type LabelFilter, passesFilters } from '../../catalog/labels.ts';
import { filterReason, sameNameReason } from '../../catalog/left-out.ts';
import { withPort } from '../../catalog/port-override.ts';
import { isSamePlace } from '../../catalog/select.ts';
import type { InstanceSet, LeftOut } from '../../source.ts';
import type { Discovery } from '../discoverer.ts';

/** One of the sources of a service, as configured. */
export interface Part {
  readonly name: string;
  readonly discovery: Discovery;
  /** The part's own filters; those of the whole service are applied later. */
  readonly filters: readonly LabelFilter[];
  /** Port of every instance that it finds; undefined also where the port is an option of the source itself. */
  readonly portOverride: number | undefined;
}

/** A part's set with its filters and its port override applied. */
export function narrowPart({ filters, portOverride }: Part, set: InstanceSet): InstanceSet {
  if (filters.length === 0 && portOverride === undefined) return set;
  const failed = set.instances.map((instance) => filters.find((filter) => !passesFilters(instance, [filter])));
  const leftOut = set.instances.flatMap((instance, index): readonly LeftOut[] => {
    const filter = failed[index];
    return filter === undefined ? [] : [{ id: instance.id, reason: filterReason(instance, filter) }];
  });
  const kept = {
    ...filterSet(set, (_, index) => failed[index] === undefined),
    leftOut: [...(set.leftOut ?? []), ...leftOut],
  };
  return portOverride === undefined ? kept : movedTo(portOverride, kept);
}

/** The set with another port: its instances have another id, and two of them may now have the same. */
function movedTo(port: number, { unique: _, withdrawn, lost, ...set }: InstanceSet): InstanceSet {
  const movedId = (id: string): string => id.replace(/:\d+$/, `:${port}`);
  return {
    ...set,
    instances: set.instances.map((instance) => withPort(instance, port)),
    ...(withdrawn !== undefined && { withdrawn: new Map([...withdrawn].map(([id, key]) => [movedId(id), key])) }),
    ...(lost !== undefined && { lost: new Map([...lost].map(([id, lease]) => [movedId(id), lease])) }),
  };
}

/** How many instances of a set can take traffic. */
export function usableIn(set: InstanceSet | undefined): number {
  return set?.instances.filter(({ state }) => state !== 'down').length ?? 0;
}

/**
 * Merges the sets of several parts; of two instances with the same id the first counts, unless it is down. `withdrawn` are
 * the ids of instances that are gone and did not expire.
 */
export function mergeParts(
  parts: readonly { readonly name: string; readonly set: InstanceSet }[],
  withdrawn: ReadonlyMap<string, string | null>,
  seenAt: number,
): InstanceSet {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return { ...only.set, withdrawn, seenAt };
  const byId = new Map<string, Instance>();
  const origins = new Map<string, RecordOrigin | undefined>();
  const namesakes: LeftOut[] = [];
  for (const { set } of parts) {
    for (const [index, instance] of set.instances.entries()) {
      const known = byId.get(instance.id);
      if (known === undefined || known.state === 'down') {
        byId.set(instance.id, instance);
        origins.set(instance.id, set.origins?.[index]);
      } else if (!isSamePlace(known, instance)) namesakes.push({ id: instance.id, reason: sameNameReason(known) });
    }
  }
  const leftOut = [...parts.flatMap(({ set }) => set.leftOut ?? []), ...namesakes];
  const revisions = parts.flatMap(({ name, set }) => (set.revision === undefined ? [] : [`${name} ${set.revision}`]));
  return {
    instances: [...byId.values()],
    // Both have the same keys in the same order.
    origins: [...origins.values()],
    unique: true,
    rejected: parts.flatMap(({ name, set }) => set.rejected.map((one) => ({ ...one, where: `${name}: ${one.where}` }))),
    withdrawn,
    ...(leftOut.length > 0 && { leftOut }),
    ...(revisions.length > 0 && { revision: revisions.join(', ') }),
    seenAt,
  };
}
