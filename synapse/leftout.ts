import type { Instance } from '../common/instance.ts';
import { type LabelFilter, labelOf, passesFilters } from './labels.ts';
import type { Policy } from './select.ts';
import type { InstanceSet, LeftOut } from './source.ts';

/** Why instances of a set are not among those in use; nothing for those that are. */
export function leftOut(
  policy: Policy,
  set: InstanceSet,
  { instances = [] }: { readonly instances?: readonly Instance[] | undefined },
): readonly LeftOut[] {
  const used = new Set(instances.map(({ name, host, port }) => key(name, host, policy.portOverride ?? port)));
  const seen = new Set<string>();
  const found: LeftOut[] = [...(set.leftOut ?? [])];
  for (const instance of set.instances) {
    const { id, name, host, port, state } = instance;
    const own = key(name, host, policy.portOverride ?? port);
    const failed = policy.filters.find((filter) => !passesFilters(instance, [filter]));
    if (state === 'down') found.push({ id, reason: 'it is being withdrawn' });
    else if (failed !== undefined) found.push({ id, reason: filterReason(instance, failed) });
    else if (seen.has(own)) found.push({ id, reason: 'another one has the same name, host and port' });
    else if (!used.has(own))
      found.push({ id, reason: policy.leaderElection ? 'it is not the leader' : 'it is not used' });
    seen.add(own);
  }
  return found;
}

function key(name: string, host: string, port: number): string {
  return `${name} ${host} ${port}`;
}

/** Why a filter does not let an instance through. */
export function filterReason(instance: Instance, { label, value, condition }: LabelFilter): string {
  const found = labelOf(instance, label);
  const has = found === undefined ? 'is missing' : `is ${JSON.stringify(found)}`;
  const wanted = condition === 'exists' ? 'exist' : `be ${condition} ${JSON.stringify(value)}`;
  return `its label ${label} ${has}; the filter wants it to ${wanted.replace('be matches', 'match')}`;
}
