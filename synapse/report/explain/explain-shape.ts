import { type Fields, field, type Shaped } from '../../../common/cli/json-shape.ts';
import { serverShape } from '../../haproxy/statistics/server-shape.ts';
import { serviceShape } from '../service-shape.ts';
import { daemonField } from '../status-shape.ts';
import { traceShape } from '../trace-shape.ts';

const recordShape = {
  fields: {
    where: field('text', 'its key'),
    id: field({ orNull: 'text' }, 'id of the instance; null when the record cannot be used'),
    name: field('text', 'instance_id of the nerve that announces it'),
    reason: field({ orNull: 'text' }, 'why it cannot be used; null when it can'),
    announced_at: field(
      { orNull: 'text' },
      "when it became like this by the announcer's clock, ISO 8601; null when the record does not say",
    ),
    created: field('text', 'revision at which it was first written'),
    revision: field('text', 'revision at which it was last written'),
    lease: field({ orNull: 'text' }, 'lease of the record, in hexadecimal; null without one'),
    ttl: field({ orNull: 'number' }, 'granted time to live of that lease in seconds; null when not known'),
    left: field({ orNull: 'number' }, 'seconds until the lease expires; null when not known'),
  },
} satisfies Fields;

const commandShape = {
  fields: {
    command: field('text', 'the command as it was sent'),
    reply: field({ orNull: 'text' }, "HAProxy's reply, often empty; null when none came"),
  },
} satisfies Fields;

const sentShape = {
  fields: {
    socket: field('text', "socket of HAProxy's runtime API"),
    time: field('text', 'when the commands were sent, ISO 8601'),
    milliseconds: field('number', 'until all replies were there'),
    commands: field({ list: commandShape }, 'in order'),
  },
} satisfies Fields;

/** The last commands about one server and HAProxy's replies, for one HAProxy. */
export type SentReport = Shaped<typeof sentShape>;

const explainedShape = {
  fields: {
    id: field('text', 'id of the instance; the key of a record that cannot be used'),
    used: field('boolean', 'true when it is to be in HAProxy'),
    level: field(
      { oneOf: ['good', 'warn', 'bad'] },
      'good: as it should be; warn: on purpose, or it will pass; bad: an operator has to act',
    ),
    verdict: field('text', 'why it is, or is not, in HAProxy, in one line'),
    dropped: field({ list: 'text' }, 'fields and options of its record that are not used, and why'),
    record: field({ orNull: recordShape }, 'its record in etcd; null when there is none'),
    trace: field({ orNull: traceShape }, 'its newest change; null when it has not changed since synapse started'),
    sent: field({ list: sentShape }, 'the last commands about it'),
    server: field({ orNull: serverShape }, 'its server in HAProxy; null when HAProxy does not have it'),
  },
} satisfies Fields;

/** `synapse explain --json`. */
export const explainShape = {
  fields: {
    daemon: daemonField,
    service: field('text', 'name of the service'),
    notes: field({ list: 'text' }, 'the service as a whole, in sentences'),
    report: field(serviceShape, 'as in synapse status --json'),
    registry: field(
      {
        fields: {
          records: field({ orNull: { list: recordShape } }, 'null when etcd was not asked, or did not answer'),
          reason: field({ orNull: 'text' }, 'why there are none; null when etcd answered'),
        },
      },
      'what etcd itself has',
    ),
    haproxy: field(
      { fields: { reason: field({ orNull: 'text' }, 'why HAProxy did not answer; null when it did') } },
      'whether HAProxy answered',
    ),
    instances: field({ list: explainedShape }, 'every instance, or the one that was asked for'),
  },
} satisfies Fields;

/** What `synapse explain --json` prints. */
export type ExplainReport = Shaped<typeof explainShape>;
