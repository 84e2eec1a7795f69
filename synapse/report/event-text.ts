import { plain, type Style } from '../../common/cli/table.ts';
import { visibleLine } from '../../common/visible.ts';
import { counted, formatLatency } from '../../common/wording.ts';
import { eventTitles, type RecordedEvent } from './event-shape.ts';

/** One event in a line: its time (UTC, as in the log and in `explain`), level, service, what happened, why, and the cost. */
export function formatEvent(event: RecordedEvent, style: Style = plain): string {
  const { time, level, kind, service, services } = event;
  const [mark, tone] = marks[level];
  const subject = visibleLine(service ?? services?.join(', ') ?? '-');
  const what = visibleLine(kind === 'source_switched' ? `source switched to ${event.source}` : titleOf(event));
  const notes = [visibleLine(whyText(event)), costText(event)].filter((text) => text !== '');
  const shown = tone === undefined ? what : style(tone, what);
  return `${[time.replace('T', ' '), mark, subject.padEnd(16), shown, ...notes].join('  ')}\n`;
}

/** The title of the kind, and what changed. */
function titleOf(event: RecordedEvent): string {
  // A kind that this version does not know is of a newer synapse.
  return [eventTitles[event.kind] ?? event.kind, changeText(event)].filter((text) => text !== '').join(': ');
}

const marks = { info: [' ', undefined], warn: ['!', 'warn'], error: ['✗', 'bad'] } as const;

function changeText({ added, removed, drained, changed, where, socket }: RecordedEvent): string {
  const parts = [signed('+', added), signed('-', removed), signed('drains ', drained), signed('~', changed)];
  return [...parts, where ?? '', socket ?? ''].filter((text) => text !== '').join(' ');
}

function signed(sign: string, ids: readonly string[] | undefined): string {
  return ids === undefined ? '' : ids.map((id) => `${sign}${id}`).join(' ');
}

function whyText({ kind, reason, reasons, source, revision }: RecordedEvent): string {
  const from =
    source === undefined || kind === 'source_switched'
      ? ''
      : `from ${source}${revision === undefined ? '' : ` at revision ${revision}`}`;
  return [reason ?? '', reasons?.join('; ') ?? '', from].filter((text) => text !== '').join(', ');
}

function costText({ commands, failed, milliseconds, bytes }: RecordedEvent): string {
  const parts = [
    commands === undefined ? '' : counted(commands, 'command'),
    failed === undefined || failed === 0 ? '' : `${failed} failed`,
    bytes === undefined ? '' : `${bytes} bytes`,
    milliseconds === undefined ? '' : formatLatency(milliseconds),
  ];
  const text = parts.filter((part) => part !== '').join(', ');
  return text === '' ? '' : `(${text})`;
}
