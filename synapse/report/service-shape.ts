import { type Fields, field, optional, type Shaped } from '../../common/cli/json-shape.ts';
import { healthShape } from '../haproxy/statistics/health-shape.ts';
import { instanceShape } from './instance-shape.ts';

const leftOutShape = {
  fields: {
    id: field('text', 'id of the instance'),
    reason: field('text', 'the rule that leaves it out, and why'),
    kind: optional(
      { oneOf: ['waiting', 'unresolved', 'refused', 'double'] },
      'where its host is the reason: waiting: its name is being looked up; unresolved: its name has no address; refused: ' +
        'traffic may not go to its address; double: another instance has the same name, address and port',
    ),
  },
} satisfies Fields;

const failingNameShape = {
  fields: {
    host: field('text', 'the host name'),
    address: field({ orNull: 'text' }, 'the last address, which is still used; null when none was found'),
    reason: field('text', 'why the last lookup failed'),
  },
} satisfies Fields;

const rejectedShape = {
  fields: {
    where: field('text', 'where the record is: an etcd key, or a file and line'),
    reason: field('text', 'why it cannot be used'),
  },
} satisfies Fields;

const partShape = {
  fields: {
    name: field('text', 'name of the source'),
    method: field('text', 'discovery method'),
    role: field(
      { oneOf: ['used', 'asked', 'idle'] },
      'used: its instances count; asked: it runs, and its instances do not count; idle: it does not run',
    ),
    instances: field(
      { orNull: 'number' },
      'number of its instances that can take traffic; null before its first answer',
    ),
    reason: field({ orNull: 'text' }, 'why its answer may be out of date; null while it is current'),
  },
} satisfies Fields;

const preferenceShape = {
  fields: {
    label: field('text', 'the label that is compared'),
    value: field('text', 'the value of that label on local instances'),
    local: field('number', 'number of local instances'),
    in_force: field('boolean', 'true when local instances come first now'),
  },
} satisfies Fields;

const publishedShape = {
  fields: {
    where: field({ orNull: 'text' }, 'key of the published configuration in force; null when none is'),
    refused: field({ orNull: 'text' }, 'why the newest published configuration is refused; null when it is not'),
  },
} satisfies Fields;

const lostShape = {
  fields: {
    lease: field('text', 'the lease that is gone, as etcdctl prints it; of HOST where the source knows none'),
    since: field('text', 'when it was lost, ISO 8601'),
    phase: field(
      { oneOf: ['looking', 'held', 'suspect'] },
      'looking: kept until the first look; held: it answers, and a wave may follow; suspect: part of a wave',
    ),
    look: field('text', 'what the last look said'),
    until: field('text', 'when it is given up at the latest, ISO 8601'),
    ends: field('text', 'what gives it up, besides a withdrawal and another announcement of its address'),
  },
} satisfies Fields;

const returnsShape = {
  fields: {
    times: field('number', 'how often it has come back; 0 again after ten minutes of calm'),
    left_at: field('text', 'when it left last, ISO 8601'),
    back_at: field({ orNull: 'text' }, 'when it came back last, ISO 8601; null while it is away'),
  },
} satisfies Fields;

/** One service in `/api/v1/state` and `synapse status --json`. */
export const serviceShape = {
  fields: {
    method: field('text', 'discovery method'),
    origin: field(
      { oneOf: ['discovered', 'previous', 'defaults', 'cache', 'nothing'] },
      'where the instances come from: discovered, previous, defaults, cache, nothing',
    ),
    reason: field({ orNull: 'text' }, 'why they may be out of date; null while they are current'),
    age: field(
      { orNull: 'number' },
      'seconds since the source last proved that they are current; null when it does not say',
    ),
    sources: optional({ list: partShape }, 'each source of a service that has several'),
    paths: optional({ list: 'text' }, 'folders of keys in etcd that it follows now, as they are in etcd'),
    revision: field({ orNull: 'text' }, "the source's name for its last set: the etcd revision"),
    changed_at: field(
      { orNull: 'text' },
      'when the running synapse last saw the instances change, ISO 8601; null when nothing is known or synapse is down',
    ),
    answered_at: optional('text', 'when the source first answered the running synapse, ISO 8601'),
    published: optional(publishedShape, 'configuration of the service that is published in the registry'),
    rules: optional({ list: 'text' }, 'rules that choose among the instances found; left out when all are used'),
    prefer: optional(preferenceShape, 'which instances come first'),
    suspects: optional(
      { by: 'ID', of: 'text' },
      'instances that are kept although their leases were lost together, each with the time until which, ISO 8601',
    ),
    lost: optional(
      { by: 'ID', of: lostShape },
      'instances that are kept although their leases are gone: suspects, and those that are held for a moment',
    ),
    over_limit: optional('number', 'number of instances that max_instances leaves out'),
    returns: optional(
      { by: 'ID', of: returnsShape },
      'instances that have left their registry since synapse started, whether or not they stayed in use; at most 100',
    ),
    instances: field({ orNull: { list: instanceShape } }, 'the instances in use; null while nothing is known'),
    haproxy: optional(
      healthShape,
      'what HAProxy says of the service; left out while HAProxy does not answer or does not have the service',
    ),
    left_out: field({ list: leftOutShape }, 'instances that were found and are not used, at most 100'),
    failing_names: optional({ list: failingNameShape }, 'host names that cannot be looked up now, at most 100'),
    rejected: field({ list: rejectedShape }, 'records that cannot be used, at most 100'),
  },
} satisfies Fields;

/** One service, for people. */
export type ServiceReport = Shaped<typeof serviceShape>;
