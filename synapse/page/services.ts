import { formatAge } from '../../common/wording.ts';
import { totalOf, usableOf } from '../haproxy/statistics/health-shape.ts';
import { isProven, troubleOf } from '../report/problems.ts';
import type { ServiceSummary } from '../report/summary.ts';
import { element } from './dom.ts';
import { plot, plotWords, type Rates } from './rates.ts';
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
  const { drain } = service;
  const source = sourceText(service);
  const requests = rates.requests === undefined ? '–' : formatRate(rates.requests);
  row.setAttribute('aria-label', `${name}: ${countsText(service)}, ${source.text}, ${requests} requests per second`);
  row.replaceChildren(
    element('span', 'name', name),
    usableCell(service),
    element('span', drain > 0 ? 'warn' : 'soft', drain > 0 ? String(drain) : '·'),
    element('span', source.level, source.text),
    element('span', 'rate wide', [plot(rates.history), element('span', 'value', requests)]),
    element('span', rates.errors > 0 ? 'bad wide' : 'soft wide', rates.errors > 0 ? formatRate(rates.errors) : '·'),
    element(
      'span',
      'soft wide',
      service.changed_at === null ? '' : formatAge(Date.now() - Date.parse(service.changed_at)),
    ),
  );
  row.title = service.reason ?? `requests: ${plotWords(rates.history)}`;
}

/** How many servers take traffic, of how many, by HAProxy's word: a bar, and the numbers. Only what is proven is green. */
function usableCell(service: ServiceSummary): HTMLElement {
  const { known, up, haproxy } = service;
  if (haproxy === undefined) {
    const cell = element('span', known && up === 0 ? 'bad' : 'soft', known ? `?/${up}` : '?');
    cell.title = 'HAProxy has not said anything of it';
    return cell;
  }
  const [usable, total] = [usableOf(haproxy.servers), totalOf(haproxy.servers)];
  const { failed = 0 } = haproxy.traffic ?? {};
  const isIll = haproxy.servers.down > 0 || failed > 0;
  const level = usable === 0 ? 'bad' : isIll ? 'warn' : isProven(service) ? 'good' : 'soft';
  const bar = document.createElement('meter');
  bar.className = level;
  bar.max = Math.max(total, 1);
  bar.value = usable;
  bar.setAttribute('aria-hidden', 'true');
  const cell = element('span', `usable ${level}`, [bar, document.createTextNode(`${usable}/${total}`)]);
  cell.title = haproxy.servers.unchecked > 0 ? `${haproxy.servers.unchecked} not checked by HAProxy` : '';
  return cell;
}

function countsText({ known, up, drain, backup, haproxy }: ServiceSummary): string {
  if (!known) return 'no instances known yet';
  return [
    `${up} up`,
    ...(haproxy === undefined
      ? []
      : [`${usableOf(haproxy.servers)} of ${totalOf(haproxy.servers)} servers take traffic`]),
    ...(haproxy !== undefined && haproxy.servers.unchecked > 0 ? [`${haproxy.servers.unchecked} not checked`] : []),
    ...(drain > 0 ? [`${drain} draining`] : []),
    ...(backup > 0 ? [`${backup} backup`] : []),
  ].join(', ');
}

/** Where the instances come from, or the first thing that is wrong with that. */
function sourceText(service: ServiceSummary): { readonly level: 'warn' | 'soft'; readonly text: string } {
  const { reason, fallback, suspects, rejected, refused, method, origin } = service;
  if (suspects > 0) return { level: 'warn', text: `${suspects} suspect` };
  if (fallback !== null) return { level: 'warn', text: `fallback ${fallback}` };
  if (reason !== null) return { level: 'warn', text: origin === 'cache' ? 'from state file' : `${method}, stale` };
  if (rejected > 0) return { level: 'warn', text: `${rejected} skipped` };
  if (refused !== null) return { level: 'warn', text: 'refused' };
  // Something stands in for the instances that are not announced.
  return origin === 'discovered' ? { level: 'soft', text: method } : { level: 'warn', text: origin };
}
