import { type Field, type Fields, field, optional } from '../../../common/command/shape.ts';
import { outputShape, server } from './haproxy.ts';
import { report } from './report.ts';

/** Whether the daemon answered. */
export const daemon: Field = field(
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
    haproxy: field({ orNull: outputShape }, "how HAProxy's output is doing; null before the first"),
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
