import { type Fields, field, optional, type Shaped } from '../common/cli/json-shape.ts';

const resultShape = {
  fields: {
    outcome: field({ oneOf: ['pass', 'fail', 'timeout'] }, 'result of the probe'),
    milliseconds: field('number', 'how long the probe took'),
    reason: field({ orNull: 'text' }, 'why it did not pass'),
    at: field('text', 'when, ISO 8601'),
  },
} satisfies Fields;

const checkShape = {
  fields: {
    name: field('text', 'name of the check'),
    type: field('text', 'kind of check'),
    up: field({ orNull: 'boolean' }, 'health by rise and fall; null before the first result'),
    last: field({ orNull: resultShape }, 'newest result'),
    recent: field({ list: resultShape }, 'last five results, newest first'),
  },
} satisfies Fields;

/** One check of a service, with its newest results. */
export type CheckStatus = Shaped<typeof checkShape>;

const serviceShape = {
  fields: {
    name: field('text', 'unique in this nerve'),
    service: field('text', 'name in the configuration; all instances of a service share it'),
    instance: field('text', 'id of the instance: the name of the server in HAProxy'),
    key: field('text', 'key in etcd'),
    health: field({ oneOf: ['up', 'down', 'unknown'] }, 'health by all checks'),
    since: field('text', 'when it got this health, ISO 8601'),
    drained: field('boolean', 'an operator drains it'),
    drainedSince: field({ orNull: 'text' }, 'since when, ISO 8601'),
    weight: field({ orNull: 'number' }, 'its weight in the registry; null for none'),
    weightGiven: field('boolean', 'nerve weight gave it that weight, and not the configuration'),
    announced: field('boolean', 'etcd has the key, as far as nerve knows'),
    reason: field({ orNull: 'text' }, 'why it is not announced, or why nerve is not certain'),
    settled: field('boolean', 'etcd has the record that nerve wants it to have'),
    checks: field({ list: checkShape }, 'each check of the service'),
  },
} satisfies Fields;

/** The health of a service by all its checks. */
export type Health = Shaped<typeof serviceShape>['health'];

const rivalShape = {
  fields: {
    lease: field('text', 'its lease, hexadecimal'),
    key: field('text', 'one of the keys that it announced'),
  },
} satisfies Fields;

const leaseShape = {
  fields: {
    hosts: field({ list: 'text' }, 'members of the cluster'),
    ttl: field('number', 'lifetime of the lease without a renewal, seconds'),
    id: field({ orNull: 'text' }, 'id of the lease, hexadecimal'),
    held: field('boolean', 'etcd granted it and nerve keeps it alive'),
    lastError: field({ orNull: 'text' }, 'last error of granting or renewing it'),
    rivals: optional({ list: rivalShape }, 'other processes that live and announced keys of this nerve before it'),
  },
} satisfies Fields;

const registryShape = {
  fields: {
    name: field('text', 'name of the service'),
    instance: field('text', 'id of the instance'),
    key: field('text', 'key in etcd'),
    announced: field({ orNull: 'boolean' }, 'etcd has the key; null when etcd cannot be read'),
    reason: field({ orNull: 'text' }, 'why etcd cannot be read, or why the record is invalid'),
    revision: field({ orNull: 'text' }, 'revision of the last write'),
    lease: field({ orNull: 'text' }, 'id of the lease that keeps the key, hexadecimal'),
    ttl: field({ orNull: 'number' }, 'lifetime that etcd granted, seconds'),
    left: field({ orNull: 'number' }, 'seconds until the lease expires'),
  },
} satisfies Fields;

/** One service as etcd has it, read without a running nerve. */
export type RegistryState = Shaped<typeof registryShape>;

const version = field('text', 'version of nerve');
const ready = field('boolean', 'nerve holds its leases and etcd has what it should have');
const reason = field({ orNull: 'text' }, 'why it is not ready');
const configRefused = optional('text', 'why the configuration file cannot be used since the last SIGHUP');
const services = field({ list: serviceShape }, 'each instance that this nerve checks');
const leases = field({ list: leaseShape }, 'one for each etcd cluster');

const stateShape = { fields: { version, ready, reason, configRefused, services, leases } } satisfies Fields;

/** What `/api/v1/state` answers. */
export type NerveState = Shaped<typeof stateShape>;

const daemon = field(
  {
    fields: {
      running: field('boolean', 'it answered'),
      reason: field({ orNull: 'text' }, 'why it did not; null when it did'),
    },
  },
  'whether nerve answered; if not, the state comes from etcd and only registry has any',
);
const registry = optional({ list: registryShape }, 'without a running nerve: what etcd has');

/** `nerve status --json`. */
export const statusShape = {
  fields: { version, ready, reason, configRefused, daemon, services, leases, registry },
} satisfies Fields;

/** What `nerve status` shows. */
export type NerveStatus = Shaped<typeof statusShape>;
