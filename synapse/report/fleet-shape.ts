import { type Fields, field, optional, type Shaped } from '../../common/cli/json-shape.ts';

const proxyShape = {
  fields: {
    proxy: field('text', 'id of the synapse'),
    host: field({ orNull: 'text' }, 'name of its host; null when its record cannot be read'),
    version: field({ orNull: 'text' }, 'version of synapse'),
    startedAt: field({ orNull: 'text' }, 'when it started, by its own clock, ISO 8601'),
    haproxyProcesses: field({ orNull: 'number' }, 'HAProxy processes that it keeps up to date'),
    paths: field({ list: 'text' }, 'folders of keys in etcd that it follows'),
    milliseconds: field(
      { orNull: 'number' },
      'how long it took to apply the revision since it saw the question; null when it has not',
    ),
    revision: field({ orNull: 'number' }, 'revision of etcd up to which it has applied everything, as it said'),
    reason: field({ orNull: 'text' }, 'why it has not applied the revision; null when it has'),
  },
} satisfies Fields;

/** One proxy of the fleet. */
export type FleetProxy = Shaped<typeof proxyShape>;

/** `synapse fleet --json`. */
export const fleetShape = {
  fields: {
    path: field('text', 'folder of the fleet in etcd'),
    revision: field(
      { orNull: 'number' },
      'revision of etcd that was asked for; null when etcd did not take the question',
    ),
    reason: field({ orNull: 'text' }, 'why not every proxy has applied it; null when all have'),
    proxies: field({ list: proxyShape }, 'each proxy: those that have not applied it, then the slowest first'),
  },
} satisfies Fields;

/** What `synapse fleet` shows. */
export type FleetReport = Shaped<typeof fleetShape>;

const elsewhereShape = {
  fields: {
    proxy: field('text', 'id of the synapse'),
    reason: field('text', 'how its HAProxy differs'),
  },
} satisfies Fields;

const differenceShape = {
  fields: {
    instance: field('text', 'id of an instance that is announced as up'),
    has: field('number', 'proxies that have it in rotation'),
    unused: field('number', 'proxies that do not use it, by their configuration'),
    others: field({ list: elsewhereShape }, 'up to 100 proxies that do not have it in rotation'),
  },
} satisfies Fields;

/** An instance that not all proxies have in rotation. */
export type FleetDifference = Shaped<typeof differenceShape>;

/** The answer of `/api/v1/fleet`. */
export const fleetDocumentShape = {
  fields: {
    ...fleetShape.fields,
    id: field('text', 'id of the synapse that answers'),
    time: field('text', 'when the proxies were read, ISO 8601'),
    asked_at: field(
      { orNull: 'text' },
      'when all of them were asked, ISO 8601; null when they were not: then nobody has said how far it is',
    ),
    service: field({ orNull: 'text' }, 'the service that was asked about; null for everything'),
    differences: optional(
      { list: differenceShape },
      'with a service: its instances that not all proxies have in rotation',
    ),
    not_compared: optional(
      'number',
      'with a service: instances that are up and were not asked about, because there are too many',
    ),
  },
} satisfies Fields;

/** What `/api/v1/fleet` answers. */
export type FleetDocument = Shaped<typeof fleetDocumentShape>;
