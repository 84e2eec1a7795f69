import { type Fields, field, type Shaped } from '../../../common/cli/json-shape.ts';

/** One server as HAProxy sees it; the counters start at zero with each worker. */
export const serverShape = {
  fields: {
    name: field('text', 'name of the server'),
    status: field('text', "HAProxy's word: UP, DOWN, DRAIN, MAINT, no check, …"),
    current: field('number', 'requests or connections in progress'),
    queued: field('number', 'requests or connections that wait for the server'),
    sessions: field('number', 'sessions since the HAProxy worker started'),
    requests: field({ orNull: 'number' }, 'HTTP requests since then; null in TCP mode'),
    errors: field('number', 'requests that failed: answers 500 to 599, and connections and answers that failed'),
    failed: field(
      'number',
      'the errors that are not answers of a server: no server could be reached, or its answer was cut off, late or invalid',
    ),
    retries: field('number', 'connections to a server that failed and were tried again'),
    active: field('number', '1 when it takes traffic'),
    backup: field('number', '1 for a backup'),
    address: field('text', 'host:port; empty when HAProxy does not say'),
    weight: field('number', 'weight in force'),
    check: field('text', 'result of the last check, such as L4OK; empty without checks'),
    detail: field('text', 'text of the last check'),
    since: field('number', 'seconds since its status changed'),
  },
} satisfies Fields;

/** What HAProxy says about one server. */
export type ServerStatistics = Shaped<typeof serverShape>;

/** What HAProxy counts for a backend or a server, since its worker started. */
export type Counters = Pick<
  ServerStatistics,
  'status' | 'current' | 'queued' | 'sessions' | 'requests' | 'errors' | 'failed' | 'retries' | 'active' | 'backup'
>;
