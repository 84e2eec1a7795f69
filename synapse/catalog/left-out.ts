import { type Instance, instanceId } from '../../common/instance.ts';
import { recordIdOf, type Unusable } from '../addresses/place.ts';
import type { OutputInstance } from '../output.ts';
import type { InstanceSet, LeftOut } from '../source.ts';
import { type LabelFilter, labelOf, passesFilters } from './labels.ts';
import type { Policy } from './select.ts';

/** The instances of a set that are not in use, with the reason. */
export function leftOut(
  policy: Policy,
  set: InstanceSet,
  { instances = [], unusable = [] }: InUse,
): readonly LeftOut[] {
  const { portOverride, maxInstances = Number.POSITIVE_INFINITY, leaderElection } = policy;
  const asFound = instances.map((instance) => ({ ...instance, host: instance.hostName ?? instance.host }));
  const used = new Set(asFound.map(({ name, host, port }) => key(name, host, portOverride ?? port)));
  const byId = new Map(asFound.map((instance) => [recordIdOf(instance), instance]));
  const outOfReach = new Set(unusable.map(({ id }) => id));
  const seen = new Set<string>();
  const found: LeftOut[] = [...(set.leftOut ?? [])];
  for (const instance of set.instances) {
    const { id, name, host, port, state } = instance;
    const own = key(name, host, portOverride ?? port);
    const namesake = byId.get(portOverride === undefined ? id : instanceId(name, host, portOverride));
    const failed = policy.filters.find((filter) => !passesFilters(instance, [filter]));
    if (state === 'down') found.push({ id, reason: 'its nerve withdrew it' });
    else if (failed !== undefined) found.push({ id, reason: filterReason(instance, failed) });
    else if (seen.has(own)) found.push({ id, reason: 'another instance has the same name, host and port' });
    else if (outOfReach.has(placedId(instance, policy))) continue;
    else if (!used.has(own)) {
      if (leaderElection) found.push({ id, reason: 'it is not the leader' });
      else if (namesake !== undefined) found.push({ id, reason: sameNameReason(namesake) });
      else if (instances.length + unusable.length >= maxInstances)
        found.push({ id, reason: limitReason(maxInstances) });
      else found.push({ id, reason: 'it is not used' });
    }
    seen.add(own);
  }
  found.push(...unusable);
  return found;
}

/** Why an instance is left out of which another one has the id. */
export function sameNameReason({ id, name, host }: Instance): string {
  const other = name === '' ? `the instance without a name on host ${host}` : `${name} on host ${host}`;
  return `its server in HAProxy would be ${id}, as that of ${other}, which is used`;
}

function limitReason(most: number): string {
  return `the service has more than max_instances (${most}), and this one was announced later than those in use`;
}

/** What became of a set. */
export interface InUse {
  /** The instances in use. */
  readonly instances?: readonly OutputInstance[] | undefined;
  /** Those that would be in use if their hosts could be. */
  readonly unusable?: readonly Unusable[];
}

/** The id with which an instance was placed: its port override applied. */
function placedId({ id, name, host, port }: Instance, { portOverride }: Policy): string {
  return portOverride === undefined || portOverride === port ? id : instanceId(name, host, portOverride);
}

function key(name: string, host: string, port: number): string {
  return `${name} ${host} ${port}`;
}

/** Why a filter leaves an instance out. */
export function filterReason(instance: Instance, filter: LabelFilter): string {
  const found = labelOf(instance, filter.label);
  const has = found === undefined ? 'is missing' : `is ${JSON.stringify(found)}`;
  return `its label ${filter.label} ${has} and must ${requirement(filter)}`;
}

/** What a filter requires of a label, to follow `must`. */
function requirement({ value, condition }: LabelFilter): string {
  const text = JSON.stringify(value);
  switch (condition) {
    case 'equals':
      return `equal ${text}`;
    case 'not-equals':
      return `not equal ${text}`;
    case 'in':
      return `be one of ${text}`;
    case 'not-in':
      return `be none of ${text}`;
    case 'exists':
      return 'exist';
    case 'matches':
      return `match ${text}`;
  }
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
    ...filters.map((filter) => `label ${filter.label} must ${requirement(filter)}`),
    ...(leaderElection ? ['only the leader is used'] : []),
    ...(prefer === undefined
      ? []
      : [`instances with label ${prefer.label} ${JSON.stringify(prefer.value)} come first`]),
    ...(keepDefaultServers ? ['the default servers are always used too'] : []),
    ...(portOverride === undefined ? [] : [`all discovered instances have port ${portOverride}`]),
  ];
}
