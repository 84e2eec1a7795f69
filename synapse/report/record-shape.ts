import { type Fields, field, type Shaped } from '../../common/cli/json-shape.ts';

/** The record of one instance in logs, events and documents: who announced it. */
export const recordShape = {
  fields: {
    instance: field('text', 'id of the instance; the key of a record that cannot be used'),
    key: field('text', 'its key in the registry'),
    lease: field({ orNull: 'text' }, 'its lease, as etcdctl prints it; null without one'),
    created: field('text', 'revision at which it was first written'),
    revision: field('text', 'revision at which it was last written'),
    announcer: field(
      { orNull: 'text' },
      'instance_id of the nerve that announces it; null when the record has none or cannot be used',
    ),
  },
} satisfies Fields;

/** The record of one instance, for people and programs that ask who announced it. */
export type RecordReport = Shaped<typeof recordShape>;
