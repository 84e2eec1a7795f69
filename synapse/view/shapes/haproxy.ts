import { type Fields, field, optional } from '../../../common/command/shape.ts';

/** One server as HAProxy sees it. */
export const server: Fields = {
  fields: {
    name: field('text', 'name of the server'),
    status: field('text', "HAProxy's word: UP, DOWN, DRAIN, MAINT, no check, …"),
    current: field('number', 'requests or connections that it handles now'),
    queued: field('number', 'those that wait for it'),
    sessions: field('number', 'since its HAProxy worker began'),
    requests: field({ orNull: 'number' }, 'of HTTP; null in TCP mode'),
    errors: field('number', 'answers 500 to 599, and connections and answers that failed'),
    active: field('number', '1 when it takes traffic'),
    backup: field('number', '1 for a backup'),
    address: field('text', 'host:port; empty where HAProxy does not say'),
    weight: field('number', 'in force'),
    check: field('text', 'the last check, such as L4OK; empty without checks'),
    detail: field('text', 'what that check said'),
    since: field('number', 'seconds since its status changed'),
  },
};

const socket: Fields = {
  fields: {
    path: field('text', "HAProxy's runtime API"),
    connected: field('boolean', 'it answers'),
    version: field({ orNull: 'text' }, 'of HAProxy'),
    workerPid: field({ orNull: 'number' }, 'its worker in charge'),
    generation: field({ orNull: 'text' }, 'the configuration that this worker has loaded'),
    lastError: field({ orNull: 'text' }, 'why it does not answer'),
  },
};

const held: Fields = {
  fields: {
    service: field('text', 'of which service'),
    backend: field('text', "HAProxy's name of that"),
    name: field('text', 'of the server'),
    held: field('text', 'what somebody else set: maintenance, drain or weight'),
  },
};

/** HAProxy's output. Without a running synapse only the sockets and what cannot be in HAProxy are known. */
export const outputShape: Fields = {
  fields: {
    sockets: field({ list: socket }, 'one for each HAProxy'),
    problems: field({ by: 'SERVICE', of: 'text' }, 'services that cannot be in HAProxy, with the reason'),
    generation: optional({ orNull: 'text' }, 'the configuration that is in the file; null before the first'),
    wantedGeneration: optional('text', 'another one while that is being checked, or when it was refused'),
    rejected: optional({ orNull: 'text' }, 'what HAProxy said when it refused that as a whole'),
    quarantined: optional({ by: 'SERVICE', of: 'text' }, 'what HAProxy refuses of single services'),
    pendingReload: optional({ list: 'text' }, 'why a reload is due'),
    oldWorkers: optional({ orNull: 'number' }, 'workers that finish their connections; null when nobody can be asked'),
    lastError: optional({ orNull: 'text' }, 'why the last reload or write failed'),
    fileWrittenAt: optional({ orNull: 'text' }, 'when the file was last written, ISO 8601'),
    lastReloadAt: optional({ orNull: 'text' }, 'when HAProxy was last reloaded, ISO 8601'),
    held: optional({ list: held }, 'servers that somebody else changed, and that stay so'),
    reloadFree: optional(
      {
        fields: {
          backends: field({ by: 'SERVICE', of: 'text' }, 'which backend each service has'),
          others: field({ by: 'SERVICE', of: 'text' }, 'why a service on one of the ports needs reloads all the same'),
        },
      },
      'with reload_free_services',
    ),
  },
};
