import { element } from './dom.js';
import { clock, few } from './words.js';

/** As many as the daemon remembers. */
const most = 500;

/** @type {Record<string, string>} */
const titles = {
  service_removed: 'service removed',
  source_stale: 'source out of date',
  source_fresh: 'source current again',
  source_switched: 'source switched',
  record_rejected: 'record skipped',
  guard_in_force: 'expiry guard in force',
  guard_lifted: 'expiry guard lifted',
  published_refused: 'published configuration refused',
  haproxy_refused: 'refused by HAProxy',
  haproxy_connected: 'HAProxy connected',
  haproxy_lost: 'HAProxy lost',
  file_written: 'haproxy.cfg written',
  reload_begun: 'reload begun',
  reload_done: 'HAProxy reloaded',
  reload_failed: 'reload failed',
  configuration_read: 'configuration read again',
  configuration_refused: 'configuration refused',
};

/**
 * The events as a list, the newest on top.
 * @param {HTMLElement} box
 * @param {(event: any) => boolean} isShown
 */
export function createTimeline(box, isShown) {
  /** @type {any[]} */
  let events = [];
  return {
    /** @param {readonly any[]} more */
    add(more) {
      if (more.length === 0) {
        // Another process has begun to count anew.
        events = [];
        box.replaceChildren();
        return;
      }
      const last = events.at(-1)?.seq ?? 0;
      const fresh = more.filter(({ seq }) => seq > last);
      const quiet = events.length === 0;
      events = [...events, ...fresh].slice(-most);
      const items = fresh
        .filter(isShown)
        .slice(-most)
        .reverse()
        .map((event) => item(event, !quiet));
      box.prepend(...items);
      while (box.childElementCount > most) box.lastElementChild?.remove();
    },
    redraw() {
      box.replaceChildren(
        ...events
          .filter(isShown)
          .reverse()
          .map((event) => item(event, false)),
      );
      if (box.childElementCount === 0) box.append(element('li', 'nothing', 'Nothing of this kind.'));
    },
    /**
     * When the newest event of these kinds was, and of this service if one is given.
     * @param {readonly string[]} kinds
     * @returns {string | undefined}
     */
    lastOf(kinds) {
      return events.findLast(({ kind }) => kinds.includes(kind))?.time;
    },
    get count() {
      return events.length;
    },
  };
}

/**
 * @param {any} event
 * @param {boolean} isNew
 */
function item(event, isNew) {
  const { time, level, service, services, kind } = event;
  const stamp = element('time', '', clock(time));
  stamp.setAttribute('datetime', time);
  stamp.title = time;
  const who = service ?? (services === undefined ? '' : few(services));
  const what = element('span', 'what', [
    ...(who === '' ? [] : [element('strong', '', who), document.createTextNode(' ')]),
    document.createTextNode(whatOf(event) || titles[kind] || kind),
  ]);
  const why = whyOf(event);
  const made = element('li', '', [
    stamp,
    what,
    element('span', 'cost', costOf(event)),
    ...(why === '' ? [] : [element('span', 'why', why)]),
  ]);
  made.dataset.level = level;
  made.dataset.new = String(isNew);
  made.dataset.kind = kind;
  return made;
}

/** @param {any} event */
function whatOf({ kind, source, added = [], removed = [], drained = [], changed = [] }) {
  if (kind === 'source_switched') return `source switched to ${source}`;
  if (kind !== 'instances') return '';
  const parts = [
    added.length > 0 ? `+ ${few(added)}` : '',
    removed.length > 0 ? `− ${few(removed)}` : '',
    drained.length > 0 ? `drains ${few(drained)}` : '',
    changed.length > 0 ? `changed ${few(changed)}` : '',
  ];
  return parts.filter(Boolean).join('; ') || 'options changed';
}

/** @param {any} event */
function whyOf({ kind, reason, reasons = [], where, source, revision, socket }) {
  const from =
    source === undefined || kind === 'source_switched'
      ? ''
      : `${source}${revision === undefined ? '' : ` revision ${revision}`}`;
  return [where, reason, few(reasons), from, socket].filter(Boolean).join(' · ');
}

/** @param {any} event */
function costOf({ commands, failed, milliseconds, bytes, kind }) {
  const parts = [
    commands === undefined ? '' : `${commands} command${commands === 1 ? '' : 's'}`,
    failed > 0 ? `${failed} failed` : '',
    kind === 'reload_done' ? 'a reload' : '',
    bytes === undefined ? '' : `${(bytes / 1024).toFixed(1)} KB`,
    milliseconds === undefined ? '' : `${milliseconds} ms`,
  ];
  return parts.filter(Boolean).join(', ');
}
