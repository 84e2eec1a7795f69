import { type Fields, field, optional, type Shaped } from '../../common/cli/json-shape.ts';
import { recordShape } from './record-shape.ts';

/** Every kind of event with its title. Operators filter by the kinds: they do not change. */
export const eventTitles = {
  instances: 'instances',
  service_removed: 'service removed',
  source_stale: 'source out of date',
  source_fresh: 'source current again',
  source_switched: 'source switched',
  record_rejected: 'record skipped',
  instance_refused: 'instances refused',
  name_unresolved: 'host names not found',
  name_resolved: 'host names found again',
  guard_in_force: 'expiry guard in force',
  guard_lifted: 'expiry guard lifted',
  lost_dropped: 'lost instance dropped',
  limit_exceeded: 'more than max_instances',
  limit_kept: 'max_instances kept again',
  left_in_use: 'left the registry, still in use',
  came_back: 'came back',
  published_refused: 'published configuration refused',
  haproxy_refused: 'refused by HAProxy',
  servers_unusable: 'no server takes traffic',
  servers_usable: 'servers take traffic again',
  requests_fail: 'requests fail',
  requests_succeed: 'requests are answered again',
  haproxy_connected: 'HAProxy connected',
  haproxy_lost: 'HAProxy lost',
  file_written: 'haproxy.cfg written',
  reload_begun: 'reload begun',
  reload_done: 'HAProxy reloaded',
  reload_failed: 'reload failed',
  configuration_read: 'configuration read again',
  configuration_refused: 'configuration refused',
} as const;

/** What happened; `synapse/events.md` explains each kind. */
export type EventKind = keyof typeof eventTitles;

/** One event of `synapse events --json`, which prints one a line. */
export const eventShape = {
  fields: {
    seq: field('number', '1, 2, 3, … since synapse started'),
    time: field('text', 'ISO 8601'),
    kind: field({ oneOf: Object.keys(eventTitles) as EventKind[] }, 'what happened; synapse/events.md has all kinds'),
    level: field({ oneOf: ['info', 'warn', 'error'] }, 'info, warn or error'),
    service: optional('text', 'the service that the event is about'),
    services: optional({ list: 'text' }, 'the services that the event is about: the first ten and how many more'),
    added: optional({ list: 'text' }, 'ids of new instances: the first ten and how many more, as in the next three'),
    removed: optional({ list: 'text' }, 'ids of instances that are gone'),
    drained: optional({ list: 'text' }, 'ids of instances that drain now'),
    changed: optional({ list: 'text' }, 'ids of instances with other changes'),
    records: optional(
      { list: recordShape },
      'records of these instances, at most ten, where the source knows them; who announced the record that cannot be used',
    ),
    instances: optional('number', 'number of instances now'),
    left_out: optional('number', 'number of instances that max_instances leaves out'),
    where: optional('text', 'the record that the event is about'),
    source: optional('text', 'discovery method, or the name of one of several sources'),
    revision: optional('text', 'revision of the registry that brought the change'),
    reason: optional('text', 'why'),
    reasons: optional({ list: 'text' }, 'why HAProxy is reloaded'),
    socket: optional('text', "socket of HAProxy's runtime API"),
    pid: optional('number', 'process id of the HAProxy worker'),
    bytes: optional('number', 'size of the file'),
    commands: optional('number', 'number of commands sent to HAProxy'),
    failed: optional('number', 'number of those that failed'),
    milliseconds: optional(
      'number',
      'from the moment synapse saw the change until HAProxy had it; of a reload, how long it took',
    ),
  },
} satisfies Fields;

/** One event as it is remembered. */
export type RecordedEvent = Shaped<typeof eventShape>;

/** One thing that happened, without its number and time. Fields that do not apply are left out. */
export type SynapseEvent = Omit<RecordedEvent, 'seq' | 'time'>;
