import { plain, type Style } from '../../common/cli/table.ts';
import { Journal } from '../../common/daemon/journal.ts';
import { counted, firstOf } from '../../common/wording.ts';
import { eventTitles, type RecordedEvent, type SynapseEvent } from './event-shape.ts';

/** How many services one event names. */
const maxNamed = 10;

/** The field that says which services an event is about; none when it is about no one's in particular. */
export function about(services: readonly string[]): Pick<SynapseEvent, 'service' | 'services'> {
  const [only] = services;
  if (only === undefined) return {};
  if (services.length === 1) return { service: only };
  return { services: firstOf(services, maxNamed) };
}

/** The journal of one synapse. */
export class Events extends Journal<SynapseEvent> {}

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
