import { type RecordOrigin, writtenAs } from '../../common/etcd/records/record-origin.ts';
import { printable } from '../../common/etcd/records/records.ts';
import type { Instance } from '../../common/instance.ts';
import { withPort } from '../catalog/port-override.ts';
import type { InstanceSet } from '../source.ts';
import type { RecordReport } from './record-shape.ts';

/** The record of an instance in use, or of one that is gone. */
export function recordOf({ id, name }: Pick<Instance, 'id' | 'name'>, origin: RecordOrigin): RecordReport {
  return { instance: id, key: printable(origin.key), ...writtenAs(origin), announcer: name === '' ? null : name };
}

/**
 * The records of these instances in the newest set of their source, by the ids that they have behind the port override.
 * Without an entry: its source knows no record.
 */
export function recordsOf(
  set: InstanceSet | undefined,
  portOverride: number | undefined,
  ids: ReadonlySet<string>,
): ReadonlyMap<string, RecordReport> {
  const found = new Map<string, RecordReport>();
  if (set?.origins === undefined || ids.size === 0) return found;
  for (const [index, instance] of set.instances.entries()) {
    const used = portOverride === undefined ? instance : withPort(instance, portOverride);
    const origin = ids.has(used.id) ? set.origins[index] : undefined;
    if (origin !== undefined && !found.has(used.id)) found.set(used.id, recordOf(used, origin));
  }
  return found;
}
