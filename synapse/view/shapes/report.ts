import { type Fields, field, optional } from '../../../common/command/shape.ts';

/** One instance. */
export const instance: Fields = {
  fields: {
    id: field('text', 'unique within the service; the name of the server in HAProxy'),
    name: field('text', "whose instance it is (nerve's instance_id); empty when the source knows no name"),
    host: field('text', 'address or host name'),
    port: field('number', '1 to 65535'),
    state: field('text', 'up, drain or down'),
    backup: field('boolean', 'used only while no other one works'),
    weight: optional('number', 'relative share of traffic, 0 to 256'),
    labels: optional({ by: 'LABEL', of: 'text' }, 'what its announcer says of it'),
    serverOptions: optional('text', "HAProxy's server options that its announcer asks for"),
  },
};

const leftOut: Fields = {
  fields: { id: field('text', 'id of the instance'), reason: field('text', 'which rule leaves it out, and why') },
};

const rejected: Fields = {
  fields: {
    where: field('text', 'where the record is: an etcd key, a file and line'),
    reason: field('text', 'why it cannot be used'),
  },
};

const part: Fields = {
  fields: {
    name: field('text', 'name of the source'),
    method: field('text', 'discovery method'),
    role: field('text', 'used: its instances count; asked: it runs and they do not; idle: it does not run'),
    instances: field({ orNull: 'number' }, 'how many it has that can take traffic; null before its first answer'),
    reason: field({ orNull: 'text' }, 'why what it says may be out of date; null while it is current'),
  },
};

/** One service, as in `/api/v1/state`. */
export const report: Fields = {
  fields: {
    method: field('text', 'discovery method'),
    origin: field('text', 'where the instances come from: discovered, previous, defaults, cache, nothing'),
    reason: field({ orNull: 'text' }, 'why they may be out of date; null while they are current'),
    age: field({ orNull: 'number' }, 'seconds since the last proof of that; null when the source does not say'),
    sources: optional({ list: part }, 'each source of a service that has several'),
    revision: field({ orNull: 'text' }, "how the source names its last set: etcd's revision"),
    changed_at: field(
      { orNull: 'text' },
      'when the running synapse last saw the instances change, ISO 8601; null when nothing is known or synapse is down',
    ),
    answered_at: optional('text', 'when the source first answered the running synapse, ISO 8601'),
    published: optional(
      {
        fields: {
          where: field({ orNull: 'text' }, 'where the configuration in the registry is that is in force'),
          refused: field({ orNull: 'text' }, 'why the newest one is refused'),
        },
      },
      'configuration of the service in the registry',
    ),
    rules: optional({ list: 'text' }, 'what chooses among the instances that were found'),
    prefer: optional(
      {
        fields: {
          label: field('text', 'the label that says where an instance is'),
          value: field('text', 'what it says of local ones'),
          local: field('number', 'how many are local'),
          in_force: field('boolean', 'local ones come first now'),
        },
      },
      'which instances come first',
    ),
    suspects: optional({ by: 'ID', of: 'text' }, 'kept although their leases ran out, with the time until which'),
    instances: field({ orNull: { list: instance } }, 'those in use; null while nothing is known'),
    left_out: field({ list: leftOut }, 'found and not used, at most 100'),
    rejected: field({ list: rejected }, 'records that cannot be used, at most 100'),
  },
};
