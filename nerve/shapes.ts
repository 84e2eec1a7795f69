import { type Fields, field, optional } from '../common/command/shape.ts';

const result: Fields = {
  fields: {
    outcome: field('text', 'pass, fail or timeout'),
    milliseconds: field('number', 'how long the probe took'),
    reason: field({ orNull: 'text' }, 'why it did not pass'),
    at: field('text', 'when, ISO 8601'),
  },
};

const check: Fields = {
  fields: {
    name: field('text', 'of the check'),
    type: field('text', 'kind of check'),
    up: field({ orNull: 'boolean' }, 'what it makes of its results; null before the first'),
    last: field({ orNull: result }, 'the newest result'),
    recent: field({ list: result }, 'the last few, newest first'),
  },
};

const service: Fields = {
  fields: {
    name: field('text', 'unique in this nerve'),
    service: field('text', 'as in the configuration; the same for all instances of one service'),
    instance: field('text', 'its id: the name of the server in HAProxy'),
    key: field('text', 'in etcd'),
    health: field('text', 'up, down or unknown'),
    since: field('text', 'when it became that, ISO 8601'),
    drained: field('boolean', 'somebody drains it'),
    drainedSince: field({ orNull: 'text' }, 'since when, ISO 8601'),
    announced: field('boolean', 'etcd has it, as far as nerve knows'),
    reason: field({ orNull: 'text' }, 'why it is not announced, not yet as it shall be, or not for certain'),
    settled: field('boolean', 'etcd shows what it shall show'),
    checks: field({ list: check }, 'each check of the service'),
  },
};

const lease: Fields = {
  fields: {
    hosts: field({ list: 'text' }, 'members of the cluster'),
    ttl: field('number', 'seconds'),
    id: field({ orNull: 'text' }, 'in hexadecimal'),
    held: field('boolean', 'granted, and kept alive'),
    lastError: field({ orNull: 'text' }, 'why it is not'),
  },
};

const registered: Fields = {
  fields: {
    name: field('text', 'of the service'),
    instance: field('text', 'its id'),
    key: field('text', 'in etcd'),
    announced: field({ orNull: 'boolean' }, 'etcd has the key; null when it cannot be asked'),
    reason: field({ orNull: 'text' }, 'why it cannot be asked, or why the record cannot be used'),
    revision: field({ orNull: 'text' }, 'at which it was last written'),
    lease: field({ orNull: 'text' }, 'that keeps it, in hexadecimal'),
    ttl: field({ orNull: 'number' }, 'seconds that the lease was granted for'),
    left: field({ orNull: 'number' }, 'seconds left of it'),
  },
};

/** `nerve status --json`. */
export const statusShape: Fields = {
  fields: {
    version: field('text', 'of nerve'),
    ready: field('boolean', 'it holds its lease'),
    reason: field({ orNull: 'text' }, 'why it is not ready'),
    daemon: field(
      {
        fields: {
          running: field('boolean', 'it answered'),
          reason: field({ orNull: 'text' }, 'why it did not; null when it did'),
        },
      },
      'whether nerve answered; if not, only registry says anything',
    ),
    services: field({ list: service }, 'each instance that this nerve looks after'),
    leases: field({ list: lease }, 'one for each cluster'),
    registry: optional({ list: registered }, 'without a running nerve: what etcd has'),
  },
};
