import type { ServerStatistics } from '../haproxy/statistics/server-shape.ts';
import type { CountersDocument } from '../report/api.ts';
import { serviceNotes } from '../report/service-notes.ts';
import type { ServiceReport } from '../report/service-shape.ts';
import { element } from './dom.ts';
import type { Rates } from './rates.ts';
import { formatRate } from './words.ts';

/** Rows shown at once; the filter finds the others. */
const maxRows = 500;

/** Number of columns of the table. */
const columns = 9;

type Instance = NonNullable<ServiceReport['instances']>[number];

/** A row of the table: an instance, or a server in HAProxy that is none. */
interface Row extends Pick<Instance, 'id' | 'backup' | 'weight' | 'labels'> {
  readonly state: Instance['state'] | '–';
}

/** What there is to know of a service, a paragraph each. */
export function serviceParagraphs(name: string, report: ServiceReport): readonly HTMLElement[] {
  return [
    ...serviceNotes(name, report),
    ...report.rejected.map(({ where, reason }) => `skipped ${where}: ${reason}`),
    ...report.left_out.map(({ id, reason }) => `left out ${id}: ${reason}`),
  ].map((line) => element('p', '', line));
}

export interface TableParts {
  readonly report: ServiceReport;
  /** Undefined while HAProxy has not answered. */
  readonly counters: CountersDocument | undefined;
  /** Text that a row must have. */
  readonly filter: string;
  /** The rates of one server. */
  readonly ratesOf: (id: string) => Rates;
}

/** A row for each instance, and for each server in HAProxy that is not an instance. */
export function instanceRows({ report, counters, filter, ratesOf }: TableParts): readonly HTMLElement[] {
  const servers = new Map(counters?.servers?.map((server) => [server.name, server]));
  const differences = counters?.differences ?? {};
  const wanted = rowsOf(report, differences).filter((row) => matches(row, filter));
  const rows = wanted.slice(0, maxRows).map((row) =>
    instanceRow(row, {
      server: servers.get(row.id),
      asked: counters !== undefined && counters.servers !== null,
      difference: Object.hasOwn(differences, row.id) ? differences[row.id] : undefined,
      isSuspect: Object.hasOwn(report.suspects ?? {}, row.id),
      rates: ratesOf(row.id),
    }),
  );
  if (wanted.length > maxRows) rows.push(noteRow(`and ${wanted.length - maxRows} more: filter to see them`));
  if (wanted.length === 0) rows.push(noteRow(report.instances === null ? 'No instances known yet' : 'No instance'));
  return rows;
}

function rowsOf({ instances }: ServiceReport, differences: Readonly<Record<string, string>>): readonly Row[] {
  const ids = new Set(instances?.map(({ id }) => id));
  const foreign = Object.keys(differences).filter((id) => !ids.has(id));
  return [...(instances ?? []), ...foreign.map((id) => ({ id, state: '–', backup: false }) as const)];
}

function matches({ id, state, labels = {} }: Row, filter: string): boolean {
  return [id, state, ...Object.values(labels)].join(' ').toLowerCase().includes(filter.trim().toLowerCase());
}

function noteRow(text: string): HTMLElement {
  const cell = element('td', 'soft', text);
  cell.setAttribute('colspan', String(columns));
  return element('tr', '', [cell]);
}

/** What HAProxy says of one row. */
interface HaproxyRow {
  readonly server: ServerStatistics | undefined;
  /** Whether HAProxy was asked for its servers. */
  readonly asked: boolean;
  readonly difference: string | undefined;
  readonly isSuspect: boolean;
  readonly rates: Rates;
}

function instanceRow({ id, state, backup, weight, labels = {} }: Row, haproxy: HaproxyRow): HTMLElement {
  const { server, difference, isSuspect, rates } = haproxy;
  const words = [state, ...(backup ? ['backup'] : []), ...(isSuspect ? ['suspect'] : [])];
  const check = server === undefined ? '' : `${server.check} ${server.detail}`.trim();
  const row = element('tr', '', [
    element('td', 'name', id),
    element('td', isSuspect || state === 'drain' ? 'warn' : '', words.join(', ')),
    haproxyCell(haproxy),
    element('td', 'soft', check || '·'),
    element('td', 'soft', labels.az ?? labels.zone ?? labels.availability_zone ?? '·'),
    element('td', 'number', String(weight ?? server?.weight ?? '·')),
    element('td', 'number', String(server?.current ?? '·')),
    element('td', 'number', rates.requests === undefined ? '·' : formatRate(rates.requests)),
    element(
      'td',
      server !== undefined && server.errors > 0 ? 'number warn' : 'number soft',
      String(server?.errors ?? '·'),
    ),
  ]);
  row.dataset.differs = String(difference !== undefined);
  return row;
}

function haproxyCell({ server, asked, difference }: HaproxyRow): HTMLElement {
  const status = server?.status ?? (asked && difference !== undefined ? 'absent' : '–');
  if (difference !== undefined) return element('td', 'bad', `${status}: ${difference}`);
  return element('td', /^(UP|no check)/.test(status) ? 'good' : '', status);
}
