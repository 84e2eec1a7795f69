import { type Fields, field, optional } from '../../common/cli/json-shape.ts';
import { plain, type Style } from '../../common/cli/table.ts';
import { Journal, type Stamp } from '../../common/daemon/journal.ts';
import { counted, firstOf } from '../../common/wording.ts';

/** What kinds of things are written down. Operators filter by them: they stay as they are. */
export type EventKind =
  /** Instances of a service came, went, drain or have other fields, and HAProxy has them. */
  | 'instances'
  /** A service was taken out of the configuration. */
  | 'service_removed'
  /** A source can no longer prove that it is current. */
  | 'source_stale'
  | 'source_fresh'
  /** A service gets its instances from another of its sources now. */
  | 'source_switched'
  | 'record_rejected'
  /** Instances whose leases expired together are kept. */
  | 'guard_in_force'
  | 'guard_lifted'
  /** A configuration published in the registry cannot be used. */
  | 'published_refused'
  /** HAProxy's check refuses something; what was good before stays. */
  | 'haproxy_refused'
  /** A HAProxy worker was found and brought to what is wanted. */
  | 'haproxy_connected'
  | 'haproxy_lost'
  | 'file_written'
  | 'reload_begun'
  | 'reload_done'
  | 'reload_failed'
  /** Our own configuration was read again. */
  | 'configuration_read'
  | 'configuration_refused';

/** What something cost. */
export interface Cost {
  /** Runtime API commands. */
  readonly commands: number;
  /** Of those, the ones that failed. */
  readonly failed: number;
}

/** One thing that happened. Fields that do not apply are not there. */
export interface SynapseEvent extends Partial<Cost> {
  readonly kind: EventKind;
  readonly level: 'info' | 'warn' | 'error';
  readonly service?: string;
  /** Several services at once: the first few names. */
  readonly services?: readonly string[];
  /** Ids of instances; long lists end with how many more there are. */
  readonly added?: readonly string[];
  readonly removed?: readonly string[];
  readonly drained?: readonly string[];
  readonly changed?: readonly string[];
  /** How many instances there are now. */
  readonly instances?: number;
  /** Which record, where that is what it is about. */
  readonly where?: string;
  /** Where the change came from: the discovery method, or the name of one of several sources. */
  readonly source?: string;
  /** The registry's revision that brought it. */
  readonly revision?: string;
  readonly reason?: string;
  /** Why HAProxy is reloaded. */
  readonly reasons?: readonly string[];
  /** Of HAProxy's runtime API. */
  readonly socket?: string;
  readonly pid?: number;
  readonly bytes?: number;
  /** From the moment it was seen until it was in force; of a reload, how long it took. */
  readonly milliseconds?: number;
}

/** How many services one event names. */
const maxNamed = 10;

/** The field that says which services an event is about; none when it is about no one's in particular. */
export function about(services: readonly string[]): Pick<SynapseEvent, 'service' | 'services'> {
  const [only] = services;
  if (only === undefined) return {};
  if (services.length === 1) return { service: only };
  return { services: firstOf(services, maxNamed) };
}

export type RecordedEvent = SynapseEvent & Stamp;

/** The answer of `/api/v1/events`. */
export interface EventReport {
  /** When this synapse began to write down, ISO 8601: numbers of another beginning mean nothing here. */
  readonly began: string;
  readonly last: number;
  /** Oldest first. */
  readonly events: readonly RecordedEvent[];
}

/** The journal of one synapse. */
export class Events extends Journal<SynapseEvent> {
  readonly #costs = new Map<string, Cost>();

  /** What it cost to bring the instances of a service to HAProxy: told just before that is written down. */
  cost(service: string, cost: Cost): void {
    this.#costs.set(service, cost);
  }

  /** The cost told of last, once. */
  takeCost(service: string): Cost | undefined {
    const cost = this.#costs.get(service);
    this.#costs.delete(service);
    return cost;
  }
}

/** What people read for each kind. */
export const eventTitles: Readonly<Record<EventKind, string>> = {
  instances: 'instances',
  service_removed: 'service removed',
  source_stale: 'source out of date',
  source_fresh: 'source current again',
  source_switched: 'source switched',
  record_rejected: 'record skipped',
  guard_in_force: 'guard in force',
  guard_lifted: 'guard lifted',
  published_refused: 'published configuration refused',
  haproxy_refused: 'refused by HAProxy',
  haproxy_connected: 'HAProxy connected',
  haproxy_lost: 'HAProxy lost',
  file_written: 'haproxy.cfg written',
  reload_begun: 'reload begun',
  reload_done: 'reloaded',
  reload_failed: 'reload failed',
  configuration_read: 'configuration read',
  configuration_refused: 'configuration refused',
};

/** One event as a line for people: when (UTC, as in the log and in `explain`), how grave, of which service, what, why, at which cost. */
export function formatEvent(event: RecordedEvent, style: Style = plain): string {
  const { time, level, kind, service, services } = event;
  const [mark, tone] = marks[level];
  const who = service ?? services?.join(', ') ?? '-';
  const what = [eventTitles[kind] ?? kind, changeText(event)].filter((text) => text !== '').join(': ');
  const notes = [whyText(event), costText(event)].filter((text) => text !== '');
  const shown = tone === undefined ? what : style(tone, what);
  return `${[time.replace('T', ' '), mark, who.padEnd(16), shown, ...notes].join('  ')}\n`;
}

const marks = { info: [' ', undefined], warn: ['!', 'warn'], error: ['✗', 'bad'] } as const;

function changeText({ added, removed, drained, changed, where, socket }: RecordedEvent): string {
  const parts = [list('+', added), list('-', removed), list('drains ', drained), list('~', changed)];
  return [...parts, where ?? '', socket ?? ''].filter((text) => text !== '').join(' ');
}

function list(sign: string, ids: readonly string[] | undefined): string {
  return ids === undefined ? '' : ids.map((id) => `${sign}${id}`).join(' ');
}

function whyText({ reason, reasons, source, revision }: RecordedEvent): string {
  const from = source === undefined ? '' : `from ${source}${revision === undefined ? '' : ` at ${revision}`}`;
  return [reason ?? '', reasons?.join('; ') ?? '', from].filter((text) => text !== '').join(', ');
}

function costText({ commands, failed, milliseconds, bytes }: RecordedEvent): string {
  const parts = [
    commands === undefined ? '' : counted(commands, 'command'),
    failed === undefined || failed === 0 ? '' : `${failed} failed`,
    bytes === undefined ? '' : `${bytes} bytes`,
    milliseconds === undefined ? '' : `${milliseconds} ms`,
  ];
  const text = parts.filter((part) => part !== '').join(', ');
  return text === '' ? '' : `(${text})`;
}

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
