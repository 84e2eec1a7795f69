import { connect, getJson } from './connection.js';
import { aboutService, instanceRows } from './detail.js';
import { byId, element, setChildren, setText } from './dom.js';
import { createList } from './list.js';
import { createRates, plot } from './rates.js';
import { chosenServices, fillService } from './services.js';
import { createTimeline } from './timeline.js';
import { problemsOf } from './verdict.js';
import { ago, clock, plural, rate } from './words.js';

/** Stands for all services together; no service has such a name. */
const total = '\0';

/** @type {any} */
let summary;
/** @type {any} */
let report;
/** @type {any} */
let view;
/** @type {string | undefined} */
let chosen;
/** @type {string | null} */
let link = null;
/** @type {Map<string, number>} */
const firstSeen = new Map();
const rates = createRates();
const serverRates = createRates();

const list = createList(byId('list'), {
  fill: (row, name) => fillService(row, name, summary.services[name], rates.of(name)),
  open: choose,
});
const timeline = createTimeline(byId('events'), (event) => {
  const kinds = byId('kinds').value;
  if (kinds === 'grave') return event.level !== 'info';
  if (kinds === 'service') return event.service === chosen || event.services?.includes(chosen);
  return kinds === 'all' || event.kind !== 'file_written';
});

connect({
  onSummary(next, partial) {
    summary =
      partial && summary !== undefined ? { ...next, services: { ...summary.services, ...next.services } } : next;
    drawServices();
    drawVerdict();
    if (chosen !== undefined) void readChosen(chosen);
  },
  onEvents(events) {
    timeline.add(events);
    drawLive();
    drawVerdict();
  },
  onCounters(next) {
    // Of the service that was open when this was asked for.
    view = next !== undefined && next.service !== (chosen ?? null) ? { ...next, servers: null, differences: {} } : next;
    const at = performance.now();
    const sum = { requests: 0, sessions: 0, errors: 0 };
    for (const [name, counters] of Object.entries(view?.services ?? {})) {
      rates.take(name, counters, at);
      sum.requests += counters.requests ?? counters.sessions;
      sum.errors += counters.errors;
    }
    if (view !== undefined) rates.take(total, sum, at);
    for (const server of view?.servers ?? []) serverRates.take(`${chosen} ${server.name}`, server, at);
    const { now, errors, rates: values } = rates.of(total);
    setText(byId('figure-requests'), view === undefined || now === undefined ? '–' : rate(now));
    setText(byId('figure-errors'), view === undefined || now === undefined ? '–' : rate(errors));
    byId('figure-plot').replaceChildren(plot(values));
    if (summary !== undefined) list.redraw();
    drawDetail();
  },
  onLink(reason) {
    link = reason;
    drawLive();
    drawVerdict();
  },
  chosen: () => chosen,
});

function drawServices() {
  const names = chosenServices(summary.services, byId('search').value, byId('show').value);
  list.show(names);
  const all = Object.values(summary.services);
  setText(byId('shown'), names.length === all.length ? '' : `${names.length} of ${all.length}`);
  setText(byId('figure-services'), String(all.length));
  setText(byId('figure-instances'), String(all.reduce((sum, { up, drain }) => sum + up + drain, 0)));
}

function drawLive() {
  setText(byId('live'), `${link === null ? 'live' : 'not live'}, ${plural(timeline.count, 'event')}`);
}

function drawVerdict() {
  if (link !== null) return say('bad', 'synapse does not answer', `${link}; what is shown may be out of date`, []);
  if (summary === undefined) return;
  const problems = problemsOf(summary);
  const [worst] = problems;
  for (const title of firstSeen.keys()) if (!problems.some((one) => one.title === title)) firstSeen.delete(title);
  for (const { title, kinds } of problems) {
    const time = timeline.lastOf(kinds);
    if (!firstSeen.has(title)) firstSeen.set(title, time === undefined ? Date.now() : Date.parse(time));
  }
  if (worst === undefined) {
    return say('good', 'All is well', `every service is current and HAProxy has it; synapse ${summary.version}`, []);
  }
  const more = problems.length === 1 ? '' : `, and ${plural(problems.length - 1, 'other thing')}`;
  const since = firstSeen.get(worst.title) ?? Date.now();
  say(
    worst.level,
    worst.title,
    `since ${clock(new Date(since).toISOString())}, ${ago(Date.now() - since)} ago${more}`,
    problems,
  );
}

/**
 * @param {'good' | 'warn' | 'bad'} level
 * @param {string} headline
 * @param {string} since
 * @param {readonly import('./verdict.js').Problem[]} problems
 */
function say(level, headline, since, problems) {
  byId('verdict').dataset.level = level;
  setText(byId('headline'), headline);
  setText(byId('since'), since);
  document.title = level === 'good' ? 'synapse' : `${level === 'bad' ? '✗' : '!'} ${headline}`;
  const box = byId('problems');
  box.hidden = problems.length === 0;
  const items = problems.map(({ level: grave, title, reason, remedy }) => {
    const item = element('li', '', [
      element('span', '', [
        element('strong', '', title),
        document.createTextNode(reason === undefined ? '' : `: ${reason}`),
      ]),
      element('span', 'remedy', remedy),
    ]);
    item.dataset.level = grave;
    return item;
  });
  setChildren(box, items);
}

/** @param {string} name */
function choose(name) {
  chosen = name;
  report = undefined;
  view = undefined;
  setText(byId('detail-title'), name);
  byId('find').value = '';
  byId('detail').hidden = false;
  list.mark(name);
  byId('detail-title').focus();
  if (byId('kinds').value === 'service') timeline.redraw();
  void readChosen(name);
  void getJson(`api/v1/haproxy?service=${encodeURIComponent(name)}`).then(
    (next) => {
      if (chosen !== name) return;
      view = next;
      drawDetail();
    },
    () => {},
  );
}

/** @param {string} name */
async function readChosen(name) {
  try {
    const next = await getJson(`api/v1/service?name=${encodeURIComponent(name)}`);
    if (chosen !== name) return;
    report = next;
    drawDetail();
  } catch {
    if (chosen === name && summary?.services[name] === undefined) close();
  }
}

function drawDetail() {
  if (chosen === undefined || report === undefined) return;
  setChildren(byId('about'), aboutService(report));
  const rows = instanceRows(report, view, byId('find').value, (id) => serverRates.of(`${chosen} ${id}`));
  setChildren(byId('instances'), rows);
}

function close() {
  chosen = undefined;
  report = undefined;
  byId('detail').hidden = true;
  list.mark(undefined);
  byId('list').focus();
}

byId('search').addEventListener('input', drawServices);
byId('show').addEventListener('change', drawServices);
byId('find').addEventListener('input', drawDetail);
byId('kinds').addEventListener('change', () => timeline.redraw());
byId('close').addEventListener('click', close);
document.addEventListener('keydown', (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === '/' && !typing) {
    event.preventDefault();
    byId('search').focus();
  } else if (event.key === 'Escape' && chosen !== undefined) {
    close();
  }
});
window.setInterval(drawVerdict, 5_000);
