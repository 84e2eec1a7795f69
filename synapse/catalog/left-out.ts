import type { Instance } from '../../common/instance.ts';
import type { InstanceSet, LeftOut } from '../source.ts';
import { type LabelFilter, labelOf, passesFilters } from './labels.ts';
import type { Policy } from './select.ts';

/** The instances of a set that are not in use, with the reason. */
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

/** Why a filter leaves an instance out. */
export function filterReason(instance: Instance, filter: LabelFilter): string {
  const found = labelOf(instance, filter.label);
  const has = found === undefined ? 'is missing' : `is ${JSON.stringify(found)}`;
  return `its label ${filter.label} ${has}; the filter wants it to ${filterText(filter)}`;
}

function filterText({ value, condition }: LabelFilter): string {
  const wanted = condition === 'exists' ? 'exist' : `be ${condition} ${JSON.stringify(value)}`;
  return wanted.replace('be matches', 'match');
}

/** The rules that choose among the instances of a source, for people; empty when all are used. */
export function rulesOf({
  filters,
  leaderElection,
  prefer,
  keepDefaultServers,
  portOverride,
}: Policy): readonly string[] {
  return [
    ...filters.map((filter) => `label ${filter.label} must ${filterText(filter)}`),
    ...(leaderElection ? ['only the leader is used'] : []),
    ...(prefer === undefined ? [] : [`those with label ${prefer.label} ${JSON.stringify(prefer.value)} come first`]),
    ...(keepDefaultServers ? ['the default servers are used beside them'] : []),
    ...(portOverride === undefined ? [] : [`all have port ${portOverride}`]),
  ];
}
