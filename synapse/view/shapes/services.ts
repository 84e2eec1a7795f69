import { type Fields, field } from '../../../common/command/shape.ts';
import { instance } from './report.ts';

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
              announced_at: field(
                { orNull: 'text' },
                "when it became like this by the announcer's clock, ISO 8601; null when it does not say",
              ),
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
