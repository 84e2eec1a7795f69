import { plain, type Style } from '../../common/command/style.ts';
import type { EventKind, RecordedEvent } from './events.ts';

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
    commands === undefined ? '' : `${commands} command${commands === 1 ? '' : 's'}`,
    failed === undefined || failed === 0 ? '' : `${failed} failed`,
    bytes === undefined ? '' : `${bytes} bytes`,
    milliseconds === undefined ? '' : `${milliseconds} ms`,
  ];
  const text = parts.filter((part) => part !== '').join(', ');
  return text === '' ? '' : `(${text})`;
}
