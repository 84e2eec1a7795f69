import { type Fields, field, optional } from '../../../common/command/shape.ts';

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
