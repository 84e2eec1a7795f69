import { counted, formatLatency } from '../../common/wording.ts';
import { type EventKind, eventTitles, type RecordedEvent } from '../report/event-shape.ts';
import { element } from './dom.ts';
import { few, timeOfDay, timeWithZone } from './words.ts';

/** Events that are remembered and shown; the daemon remembers as many. */
const maxEvents = 500;

/** The events as a list, the newest on top. */
export class Timeline {
  readonly #box: HTMLElement;
  readonly #isShown: (event: RecordedEvent) => boolean;
  #events: readonly RecordedEvent[] = [];

  constructor(box: HTMLElement, isShown: (event: RecordedEvent) => boolean) {
    this.#box = box;
    this.#isShown = isShown;
  }

  /** Number of events that are remembered. */
  get count(): number {
    return this.#events.length;
  }

  /** Adds the events that are new. */
  add(events: readonly RecordedEvent[]): void {
    const last = this.#events.at(-1)?.seq ?? 0;
    const added = events.filter(({ seq }) => seq > last);
    const isFirst = this.#events.length === 0;
    this.#events = [...this.#events, ...added].slice(-maxEvents);
    const items = added
      .filter(this.#isShown)
      .slice(-maxEvents)
      .reverse()
      .map((event) => itemOf(event, !isFirst));
    this.#box.prepend(...items);
    while (this.#box.childElementCount > maxEvents) this.#box.lastElementChild?.remove();
  }

  /** Forgets all events: another process has started to count from one. */
  clear(): void {
    this.#events = [];
    this.#box.replaceChildren();
  }

  /** Draws all events again, because others are shown now. */
  redraw(): void {
    const items = this.#events
      .filter(this.#isShown)
      .reverse()
      .map((event) => itemOf(event, false));
    this.#box.replaceChildren(...items);
    if (items.length === 0) this.#box.append(element('li', 'nothing', 'No such event.'));
  }

  /** When the newest event of these kinds happened, ISO 8601. */
  lastOf(kinds: readonly EventKind[]): string | undefined {
    return this.#events.findLast(({ kind }) => kinds.includes(kind))?.time;
  }
}

function itemOf(event: RecordedEvent, isNew: boolean): HTMLElement {
  const { time, level, service, services = [], kind } = event;
  const stamp = element('time', '', timeOfDay(time));
  stamp.setAttribute('datetime', time);
  stamp.title = `${timeWithZone(Date.parse(time))}, ${time}`;
  const about = service ?? few(services);
  const what = element('span', 'what', [
    ...(about === '' ? [] : [element('strong', '', about), document.createTextNode(' ')]),
    document.createTextNode(whatOf(event)),
  ]);
  const why = whyOf(event);
  const item = element('li', '', [
    stamp,
    what,
    element('span', 'cost', costOf(event)),
    ...(why === '' ? [] : [element('span', 'why', why)]),
  ]);
  item.dataset.level = level;
  item.dataset.new = String(isNew);
  item.dataset.kind = kind;
  return item;
}

function whatOf({ kind, source, added = [], removed = [], drained = [], changed = [] }: RecordedEvent): string {
  if (kind === 'source_switched') return `source switched to ${source}`;
  // A kind that this page does not know is of a newer synapse.
  if (kind !== 'instances') return eventTitles[kind] ?? kind;
  const parts = [
    added.length > 0 ? `+ ${few(added)}` : '',
    removed.length > 0 ? `− ${few(removed)}` : '',
    drained.length > 0 ? `drains ${few(drained)}` : '',
    changed.length > 0 ? `changed ${few(changed)}` : '',
  ];
  return parts.filter((part) => part !== '').join('; ') || 'options changed';
}

function whyOf({ kind, reason, reasons = [], where, source, revision, socket }: RecordedEvent): string {
  const from =
    source === undefined || kind === 'source_switched'
      ? ''
      : `${source}${revision === undefined ? '' : ` revision ${revision}`}`;
  return [where ?? '', reason ?? '', few(reasons), from, socket ?? ''].filter((part) => part !== '').join(' · ');
}

function costOf({ commands, failed = 0, milliseconds, bytes, kind }: RecordedEvent): string {
  const parts = [
    commands === undefined ? '' : counted(commands, 'command'),
    failed > 0 ? `${failed} failed` : '',
    kind === 'reload_done' ? 'one reload' : '',
    bytes === undefined ? '' : `${(bytes / 1024).toFixed(1)} KB`,
    milliseconds === undefined ? '' : formatLatency(milliseconds),
  ];
  return parts.filter((part) => part !== '').join(', ');
}
