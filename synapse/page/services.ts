import { formatAge } from '../../common/wording.ts';
import { troubleOf } from '../report/problems.ts';
import type { ServiceSummary } from '../report/summary.ts';
import { element } from './dom.ts';
import { plot, type Rates } from './rates.ts';
import { formatRate } from './words.ts';

type Summaries = Readonly<Record<string, ServiceSummary>>;

const filters = new Map<string, (service: ServiceSummary) => boolean>([
  ['trouble', (service) => troubleOf(service) !== null],
  ['stale', ({ reason }) => reason !== null],
  ['drain', ({ drain }) => drain > 0],
  ['empty', ({ up }) => up === 0],
]);

/** Names of the services to show: those without an instance first, then those with a problem. */
export function chosenServices(services: Summaries, search: string, filter: string): readonly string[] {
  const isChosen = filters.get(filter) ?? (() => true);
  const text = search.trim().toLowerCase();
  return Object.entries(services)
    .filter(([name, service]) => isChosen(service) && name.toLowerCase().includes(text))
    .map(([name, service]) => ({ name, rank: rankOf(service) }))
    .sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

const ranks = new Map<ReturnType<typeof troubleOf>, number>([
  ['bad', 0],
  ['warn', 1],
]);

function rankOf(service: ServiceSummary): number {
  return ranks.get(troubleOf(service)) ?? 2;
}

/** Fills the row of one service. */
export function fillService(
  row: HTMLElement,
  name: string,
  { service, rates }: { readonly service: ServiceSummary; readonly rates: Rates },
): void {
  const { up, drain, known } = service;
  const source = sourceText(service);
  const requests = rates.requests === undefined ? '–' : formatRate(rates.requests);
  row.setAttribute('aria-label', `${name}: ${countsText(service)}, ${source.text}, ${requests} requests per second`);
  row.replaceChildren(
    element('span', 'name', name),
    element('span', known && up === 0 ? 'bad' : '', known ? String(up) : '?'),
    element('span', drain > 0 ? 'warn' : 'soft', drain > 0 ? String(drain) : '·'),
    element('span', source.level, source.text),
    element('span', 'rate wide', [plot(rates.history), element('output', '', requests)]),
    element('span', rates.errors > 0 ? 'bad wide' : 'soft wide', rates.errors > 0 ? formatRate(rates.errors) : '·'),
    element(
      'span',
      'soft wide',
      service.changed_at === null ? '' : formatAge(Date.now() - Date.parse(service.changed_at)),
    ),
  );
  row.title = service.reason ?? '';
}

function countsText({ known, up, drain, backup }: ServiceSummary): string {
  if (!known) return 'no instances known yet';
  return [`${up} up`, ...(drain > 0 ? [`${drain} draining`] : []), ...(backup > 0 ? [`${backup} backup`] : [])].join(
    ', ',
  );
}

/** Where the instances come from, or the first thing that is wrong with that. */
function sourceText(service: ServiceSummary): { readonly level: 'warn' | 'soft'; readonly text: string } {
  const { reason, fallback, suspects, rejected, refused, method, origin } = service;
  if (suspects > 0) return { level: 'warn', text: `${suspects} suspect` };
  if (fallback !== null) return { level: 'warn', text: `fallback ${fallback}` };
  if (reason !== null) return { level: 'warn', text: origin === 'cache' ? 'from state file' : `${method}, stale` };
  if (rejected > 0) return { level: 'warn', text: `${rejected} skipped` };
  if (refused !== null) return { level: 'warn', text: 'refused' };
  return { level: 'soft', text: origin === 'discovered' ? method : origin };
}
