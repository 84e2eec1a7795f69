import { type Field, type Fields, field, optional } from '../../common/command/shape.ts';

const instance: Fields = {
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

const report: Fields = {
  fields: {
    method: field('text', 'discovery method'),
    origin: field('text', 'where the instances come from: discovered, previous, defaults, cache, nothing'),
    reason: field({ orNull: 'text' }, 'why they may be out of date; null while they are current'),
    age: field({ orNull: 'number' }, 'seconds since the last proof of that; null when the source does not say'),
    sources: optional({ list: part }, 'each source of a service that has several'),
    revision: field({ orNull: 'text' }, "how the source names its last set: etcd's revision"),
    changed_at: field({ orNull: 'text' }, 'when the instances last changed, ISO 8601'),
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

const server: Fields = {
  fields: {
    name: field('text', 'name of the server'),
    status: field('text', "HAProxy's word: UP, DOWN, DRAIN, MAINT, no check, …"),
    current: field('number', 'requests or connections that it handles now'),
    queued: field('number', 'those that wait for it'),
    sessions: field('number', 'since its HAProxy worker began'),
    requests: field({ orNull: 'number' }, 'of HTTP; null in TCP mode'),
    errors: field('number', 'answers 500 to 599, and connections and answers that failed'),
    active: field('number', '1 when it takes traffic'),
    backup: field('number', '1 for a backup'),
    address: field('text', 'host:port; empty where HAProxy does not say'),
    weight: field('number', 'in force'),
    check: field('text', 'the last check, such as L4OK; empty without checks'),
    detail: field('text', 'what that check said'),
    since: field('number', 'seconds since its status changed'),
  },
};

const daemon: Field = field(
  {
    fields: {
      running: field('boolean', 'it answered'),
      reason: field({ orNull: 'text' }, 'why it did not; null when it did'),
    },
  },
  'whether synapse answered; if not, all the rest was read directly',
);

const problem: Fields = {
  fields: {
    level: field('text', 'bad: traffic suffers, or will; warn: it should be looked at'),
    title: field('text', 'what is wrong'),
    reason: optional('text', 'why'),
    remedy: field('text', 'what to do'),
  },
};

const read: Fields = {
  fields: {
    what: field('text', 'what was read'),
    found: field({ orNull: 'text' }, 'what it said'),
    reason: field({ orNull: 'text' }, 'why it said nothing'),
  },
};

/** `synapse status --json`. */
export const statusShape: Fields = {
  fields: {
    version: field('text', 'of synapse'),
    reason: field({ orNull: 'text' }, 'why it is not ready; null when it is'),
    daemon,
    problems: field({ list: problem }, 'the worst first; empty when all is well'),
    read: optional({ list: read }, 'without a running synapse: where all of this was read'),
    services: field({ by: 'SERVICE', of: report }, 'every service, in the order of the configuration'),
    haproxy: field('any', "the state of HAProxy's output, as in /api/v1/state: for people, and not promised to stay"),
    file_output: optional(
      {
        fields: {
          directory: field('text', 'where the files are'),
          reason: field({ orNull: 'text' }, 'why they may be out of date'),
        },
      },
      'files for other readers',
    ),
    servers: field(
      { orNull: { by: 'SERVICE', of: { list: server } } },
      "HAProxy's own servers; null when it cannot be asked",
    ),
  },
};

const record: Fields = {
  fields: {
    where: field('text', 'its key'),
    id: field({ orNull: 'text' }, 'the instance that it announces; null when it cannot be used'),
    name: field('text', "whose it is: nerve's instance_id"),
    reason: field({ orNull: 'text' }, 'why it cannot be used; null when it can'),
    created: field('text', 'revision at which it was first written'),
    revision: field('text', 'revision at which it was last written'),
    lease: field({ orNull: 'text' }, 'the lease that keeps it, in hexadecimal; null without one'),
    ttl: field({ orNull: 'number' }, 'seconds that the lease was granted for; null when not known'),
    left: field({ orNull: 'number' }, 'seconds left of it; null when not known'),
  },
};

const sent: Fields = {
  fields: {
    socket: field('text', "HAProxy's runtime API"),
    time: field('text', 'when, ISO 8601'),
    milliseconds: field('number', 'until the replies were there'),
    commands: field(
      {
        list: {
          fields: {
            command: field('text', 'as it was sent'),
            reply: field({ orNull: 'text' }, 'empty when HAProxy had nothing to say; null when none came'),
          },
        },
      },
      'in order',
    ),
  },
};

const trace: Fields = {
  fields: {
    change: field('text', 'added, changed, drained or removed'),
    seen_at: field('text', 'when synapse saw it, ISO 8601'),
    milliseconds: field('number', 'from then until HAProxy had it'),
    source: optional('text', 'discovery method that brought it'),
    revision: optional('text', 'how that names the moment: the revision of etcd'),
    how: optional('text', 'of one that is gone: withdrawn, or expired with its lease'),
  },
};

/** `synapse explain --json`. */
export const explainShape: Fields = {
  fields: {
    daemon,
    service: field('text', 'its name'),
    notes: field({ list: 'text' }, 'what is to be said of the service as a whole, for people'),
    report: field(report, 'as in synapse status --json'),
    registry: field(
      {
        fields: {
          records: field({ orNull: { list: record } }, 'null when it was not asked, or did not answer'),
          reason: field({ orNull: 'text' }, 'why not'),
        },
      },
      'what etcd itself has',
    ),
    haproxy: field(
      { fields: { reason: field({ orNull: 'text' }, 'why it cannot be asked') } },
      'whether HAProxy answered',
    ),
    instances: field(
      {
        list: {
          fields: {
            id: field('text', 'its id; the key of a record that cannot be used'),
            used: field('boolean', 'it is to be in HAProxy'),
            level: field(
              'text',
              'good: as it should be; warn: on purpose, or it will pass; bad: something has to be done',
            ),
            verdict: field('text', 'in one line why it is, or is not, in HAProxy'),
            record: field({ orNull: record }, 'what etcd has; null when it has none'),
            trace: field({ orNull: trace }, 'how its newest change went; null when it has not changed in this synapse'),
            sent: field({ list: sent }, 'the last commands about it'),
            server: field({ orNull: server }, "HAProxy's own word; null when it does not have it"),
          },
        },
      },
      'every instance, or the one that was asked for',
    ),
  },
};

/** `synapse plan --json`. */
export const planShape: Fields = {
  fields: {
    sockets: field(
      {
        list: {
          fields: {
            socket: field('text', "HAProxy's runtime API"),
            version: field({ orNull: 'text' }, 'of HAProxy; null when it cannot be asked'),
            reason: field({ orNull: 'text' }, 'why it cannot be asked'),
            commands: field({ list: 'text' }, 'in order'),
            reload: field({ list: 'text' }, 'why a reload is needed; empty when the commands suffice'),
          },
        },
      },
      'one for each HAProxy',
    ),
    unanswered: field({ by: 'SERVICE', of: 'text' }, 'services whose source did not answer, and why'),
    problems: field({ by: 'SERVICE', of: 'text' }, 'services that cannot be in HAProxy, and why'),
  },
};

/** `synapse services --json`; with `--watch` one of `services[].instances[]` a line, with `service` and `gone`. */
export const servicesShape: Fields = {
  fields: {
    prefix: field('text', 'where they are in etcd'),
    revision: field({ orNull: 'text' }, 'of etcd; null when all of it is from the state file'),
    reason: field({ orNull: 'text' }, 'why etcd was not read; null when it was'),
    services: field(
      {
        by: 'SERVICE',
        of: {
          list: {
            fields: {
              key: field({ orNull: 'text' }, 'its key in etcd; null from the state file'),
              instance: field({ orNull: instance }, 'null when the record cannot be used'),
              reason: field({ orNull: 'text' }, 'why it cannot be used'),
              created: field({ orNull: 'text' }, 'revision at which it was first written'),
              revision: field({ orNull: 'text' }, 'revision at which it was last written'),
              lease: field({ orNull: 'text' }, 'the lease that keeps it, in hexadecimal; null without one'),
            },
          },
        },
      },
      'all records, by the service that their keys name',
    ),
  },
};

/** One event of `synapse events --json`, which prints one a line. */
export const eventShape: Fields = {
  fields: {
    seq: field('number', '1, 2, 3, … since synapse began'),
    time: field('text', 'ISO 8601'),
    kind: field('text', 'what happened; synapse/events.md has all kinds'),
    level: field('text', 'info, warn or error'),
    service: optional('text', 'which service it is about'),
    services: optional({ list: 'text' }, 'or which ones: the first ten'),
    added: optional({ list: 'text' }, 'ids of instances, the first ten and how many more; so are the next three'),
    removed: optional({ list: 'text' }, 'that are gone'),
    drained: optional({ list: 'text' }, 'that drain now'),
    changed: optional({ list: 'text' }, 'with other fields than before'),
    instances: optional('number', 'how many there are now'),
    where: optional('text', 'which record'),
    source: optional('text', 'discovery method'),
    revision: optional('text', 'revision of the registry that brought it'),
    reason: optional('text', 'why'),
    reasons: optional({ list: 'text' }, 'why HAProxy is reloaded'),
    socket: optional('text', "HAProxy's runtime API"),
    pid: optional('number', 'of the HAProxy worker'),
    bytes: optional('number', 'of the file'),
    commands: optional('number', 'sent to HAProxy'),
    failed: optional('number', 'of those'),
    milliseconds: optional(
      'number',
      'from the moment it was seen until it was in force; of a reload, how long it took',
    ),
  },
};
