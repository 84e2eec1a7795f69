import { type Fields, field, optional, type Shaped } from '../../common/cli/json-shape.ts';
import { recordShape } from './record-shape.ts';

/** The newest change of one instance in a JSON document. */
export const traceShape = {
  fields: {
    change: field({ oneOf: ['added', 'changed', 'drained', 'removed'] }, 'added, changed, drained or removed'),
    seen_at: field('text', 'when synapse saw the change, ISO 8601'),
    milliseconds: field('number', 'from then until HAProxy had it'),
    source: optional('text', 'discovery method that brought it'),
    revision: optional('text', "the source's name for that moment: the etcd revision"),
    record: optional(recordShape, 'its record at that moment; of a removed instance the last one, where it is known'),
    how: optional(
      { oneOf: ['withdrawn', 'expired'] },
      'of a removed instance: withdrawn by its announcer, or expired with its lease',
    ),
  },
} satisfies Fields;

/** The newest change of one instance, and how long it took. */
export type Trace = Shaped<typeof traceShape>;
