import { type Fields, field, optional } from '../../../common/command/shape.ts';
import { server } from './haproxy.ts';
import { report } from './report.ts';
import { daemon } from './status.ts';

const record: Fields = {
  fields: {
    where: field('text', 'its key'),
    id: field({ orNull: 'text' }, 'the instance that it announces; null when it cannot be used'),
    name: field('text', "whose it is: nerve's instance_id"),
    reason: field({ orNull: 'text' }, 'why it cannot be used; null when it can'),
    announced_at: field(
      { orNull: 'text' },
      "when it became like this by the announcer's clock, ISO 8601; null when it does not say",
    ),
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
