import { element } from './dom.js';
import { plot } from './rates.js';
import { isTroubled } from './verdict.js';
import { ago, rate } from './words.js';

/** @type {Record<string, (one: any) => boolean>} */
const filters = {
  all: () => true,
  trouble: isTroubled,
  stale: ({ reason }) => reason !== null,
  drain: ({ drain }) => drain > 0,
  empty: ({ up }) => up === 0,
};

/**
 * Names of the services to show, those in trouble first.
 * @param {Readonly<Record<string, any>>} services
 * @param {string} search
 * @param {string} filter
 */
export function chosenServices(services, search, filter) {
  const test = filters[filter] ?? filters.all;
  const text = search.trim().toLowerCase();
  const names = Object.keys(services).filter((name) => test(services[name]) && name.toLowerCase().includes(text));
  const rank = (/** @type {string} */ name) => (services[name].up === 0 ? 0 : isTroubled(services[name]) ? 1 : 2);
  return names.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/**
 * Fills the row of one service.
 * @param {HTMLElement} row
 * @param {string} name
 * @param {any} one
 * @param {{ rates: readonly number[], now: number | undefined, errors: number }} flow
 */
export function fillService(row, name, one, flow) {
  const { up, drain, backup, known } = one;
  const state = stateOf(one);
  const requests = flow.now === undefined ? '–' : rate(flow.now);
  row.setAttribute(
    'aria-label',
    `${name}: ${known ? `${up} up` : 'nothing known'}${drain > 0 ? `, ${drain} draining` : ''}${backup > 0 ? `, ${backup} backup` : ''}, ${state.text}, ${requests} requests per second`,
  );
  row.replaceChildren(
    element('span', 'name', name),
    element('span', known && up === 0 ? 'bad' : '', known ? String(up) : '?'),
    element('span', drain > 0 ? 'warn' : 'soft', drain > 0 ? String(drain) : '·'),
    element('span', state.level, state.text),
    element('span', 'rate wide', [plot(flow.rates), element('output', '', requests)]),
    element('span', flow.errors > 0 ? 'bad wide' : 'soft wide', flow.errors > 0 ? rate(flow.errors) : '·'),
    element('span', 'soft wide', one.changed_at === null ? '' : ago(Date.now() - Date.parse(one.changed_at))),
  );
  row.title = one.reason ?? '';
}

/** @param {any} one */
function stateOf({ reason, fallback, suspects, rejected, refused, method, origin }) {
  if (suspects > 0) return { level: 'warn', text: `${suspects} suspect` };
  if (fallback !== null) return { level: 'warn', text: `fallback ${fallback}` };
  if (reason !== null) return { level: 'warn', text: origin === 'cache' ? 'from cache' : `${method}, stale` };
  if (rejected > 0) return { level: 'warn', text: `${rejected} skipped` };
  if (refused !== null) return { level: 'warn', text: 'refused' };
  return { level: 'soft', text: origin === 'discovered' ? method : origin };
}
