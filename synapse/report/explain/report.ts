import { type Fields, field, optional } from '../../../common/cli/json-shape.ts';
import type { RegistryRecord } from '../../source.ts';
import { report, type ServiceReport, server } from '../state.ts';
import { type DaemonState, daemon, type SeenServer } from '../status.ts';
import type { Trace } from '../traces.ts';
import { verdictOf } from './diagnosis.ts';
import type { InstanceFacts, SentReport, ServiceFacts } from './facts.ts';
import { serviceNotes } from './service.ts';

/** What `synapse explain --json` prints. */
export interface ExplainReport {
  readonly daemon: DaemonState;
  readonly service: string;
  /** What the text says of the service as a whole. */
  readonly notes: readonly string[];
  readonly report: ServiceReport;
  readonly registry: ServiceFacts['registry'];
  readonly haproxy: { readonly reason: string | null };
  readonly instances: readonly ExplainedInstance[];
}

/** One instance and its whole way; what is not known of it is null. */
export interface ExplainedInstance {
  readonly id: string;
  readonly used: boolean;
  readonly level: 'good' | 'warn' | 'bad';
  readonly verdict: string;
  readonly record: RegistryRecord | null;
  readonly trace: Trace | null;
  readonly sent: readonly SentReport[];
  readonly server: SeenServer | null;
}

export function explainReport(facts: ServiceFacts, instances: readonly InstanceFacts[]): ExplainReport {
  const { daemon, service, report, registry, seen } = facts;
  return {
    daemon,
    service,
    notes: serviceNotes(facts),
    report,
    registry,
    haproxy: { reason: seen.reason },
    instances: instances.map((one) => {
      const { level, text: verdict } = verdictOf(facts, one);
      const { id, instance, record = null, trace = null, sent, server = null } = one;
      return { id, used: instance !== undefined, level, verdict, record, trace, sent, server };
    }),
  };
}

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
