import { type Fields, field, optional, type Shaped } from '../../common/cli/json-shape.ts';

const socketShape = {
  fields: {
    path: field('text', "socket of HAProxy's runtime API"),
    connected: field('boolean', 'true when it answers'),
    version: field({ orNull: 'text' }, 'version of HAProxy'),
    workerPid: field({ orNull: 'number' }, 'process id of the worker in charge'),
    generation: field({ orNull: 'text' }, 'the configuration that this worker has loaded'),
    lastError: field({ orNull: 'text' }, 'why it does not answer'),
  },
} satisfies Fields;

const heldShape = {
  fields: {
    service: field('text', 'name of the service'),
    backend: field('text', "name of the service's backend in HAProxy"),
    name: field('text', 'name of the server'),
    held: field(
      { oneOf: ['maintenance', 'drain', 'weight'] },
      'what was set in HAProxy by hand: maintenance, drain or weight',
    ),
    weight: optional('number', 'for weight: the one that HAProxy uses'),
    undo: optional('text', "the command on HAProxy's socket that ends it"),
  },
} satisfies Fields;

const stuckShape = {
  fields: {
    service: field('text', 'name of the service'),
    backend: field('text', "name of the service's backend in HAProxy"),
    name: field('text', 'name of the server'),
    reason: field('text', 'what HAProxy does not do, and its answer'),
  },
} satisfies Fields;

const droppedShape = {
  fields: {
    service: field('text', 'name of the service'),
    name: field('text', 'name of the server'),
    reason: field('text', 'what is not used, and why'),
  },
} satisfies Fields;

const reloadFreeShape = {
  fields: {
    backends: field({ by: 'SERVICE', of: 'text' }, 'the backend of each service'),
    others: field({ by: 'SERVICE', of: 'text' }, 'why a service on one of the ports needs reloads all the same'),
  },
} satisfies Fields;

/** HAProxy's output. Without a running synapse only the sockets, and the services that HAProxy cannot have, are known. */
export const haproxyShape = {
  fields: {
    sockets: field({ list: socketShape }, 'one for each HAProxy'),
    problems: field({ by: 'SERVICE', of: 'text' }, 'services that HAProxy cannot have as configured, with the reason'),
    generation: optional({ orNull: 'text' }, 'the configuration in the file; null before the first'),
    wantedGeneration: optional(
      'text',
      'the newest configuration; another one than generation while it is being checked, or when it was refused',
    ),
    rejected: optional({ orNull: 'text' }, "HAProxy's message when it refused the newest configuration as a whole"),
    quarantined: optional({ by: 'SERVICE', of: 'text' }, 'services that HAProxy refuses, with its message'),
    pendingReload: optional({ list: 'text' }, 'why a reload is due; empty when none is'),
    oldWorkers: optional(
      { orNull: 'number' },
      'old workers that finish their connections; null without a master process to ask',
    ),
    lastError: optional({ orNull: 'text' }, 'why the last reload or write failed'),
    writeError: optional({ orNull: 'text' }, 'why the last write of the file failed; null when it worked'),
    fileWrittenAt: optional({ orNull: 'text' }, 'when the file was last written, ISO 8601'),
    lastReloadAt: optional({ orNull: 'text' }, 'when HAProxy was last reloaded, ISO 8601'),
    held: optional({ list: heldShape }, 'servers that were changed in HAProxy by hand; synapse leaves them so'),
    waitingReload: optional(
      { by: 'SERVICE', of: 'number' },
      'services whose records want more reloads than service_reload_interval allows: seconds until their next one',
    ),
    stuck: optional(
      { list: stuckShape },
      'servers that HAProxy does not change as it should, not even by reloads; tried again every few minutes',
    ),
    dropped: optional(
      { list: droppedShape },
      'haproxy_server_options of records that are not used; the servers are there without them',
    ),
    reloadFree: optional(reloadFreeShape, 'with reload_free_services'),
  },
} satisfies Fields;

/** What is known of HAProxy's output. */
export type HaproxyReport = Shaped<typeof haproxyShape>;
