import { type Fields, field, type Shaped } from '../../common/cli/json-shape.ts';

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
