import { element } from './dom.js';
import { rate } from './words.js';

/** More rows than this help nobody: the filter is there. */
const most = 500;

/**
 * What one should know of a service, in a few lines.
 * @param {any} report the answer of /api/v1/service
 */
export function aboutService(report) {
  const { method, origin, reason, age, revision, sources = [], prefer, rejected, left_out: out, published } = report;
  const lines = [
    `Source ${method}${revision === null ? '' : `, revision ${revision}`}: ${reason === null ? 'current' : `may be out of date: ${reason}`}${age === null ? '' : `, last proof ${age.toFixed(1)} s ago`}. Instances: ${origin}.`,
    ...sources.map(
      (/** @type {any} */ part) =>
        `${part.name} (${part.method}): ${part.role}${part.instances === null ? '' : `, ${part.instances} instances`}${part.reason === null ? '' : `, ${part.reason}`}`,
    ),
    ...(prefer === undefined
      ? []
      : [
          `Prefers ${prefer.label} ${prefer.value}: ${prefer.local} local, ${prefer.in_force ? 'in force' : 'not in force'}.`,
        ]),
    ...(published?.refused ? [`Published configuration refused: ${published.refused}`] : []),
    ...rejected.map((/** @type {any} */ record) => `Skipped ${record.where}: ${record.reason}`),
    ...out.map((/** @type {any} */ one) => `Left out ${one.id}: ${one.reason}`),
  ];
  return lines.map((line) => element('p', '', line));
}

/**
 * Rows of its instances, and of servers in HAProxy that are not among them.
 * @param {any} report
 * @param {any} view the answer of /api/v1/haproxy, or undefined
 * @param {string} text
 * @param {(id: string) => { now: number | undefined }} flowOf
 */
export function instanceRows(report, view, text, flowOf) {
  const servers = new Map((view?.servers ?? []).map((/** @type {any} */ one) => [one.name, one]));
  const differences = view?.differences ?? {};
  const instances = report.instances ?? [];
  const ours = new Set(instances.map((/** @type {any} */ one) => one.id));
  const foreign = Object.keys(differences)
    .filter((id) => !ours.has(id))
    .map((id) => ({ id, state: '–', backup: false }));
  const all = [...instances, ...foreign].filter(({ id, state, labels = {} }) =>
    [id, state, ...Object.values(labels)].join(' ').toLowerCase().includes(text.trim().toLowerCase()),
  );
  const rows = all.slice(0, most).map((one) =>
    instanceRow(one, {
      server: servers.get(one.id),
      seen: view?.servers !== undefined && view?.servers !== null,
      difference: Object.hasOwn(differences, one.id) ? differences[one.id] : undefined,
      suspect: Object.hasOwn(report.suspects ?? {}, one.id),
      flow: flowOf(one.id),
    }),
  );
  if (all.length > most) rows.push(noteRow(`and ${all.length - most} more: filter to see them`));
  if (all.length === 0) rows.push(noteRow(report.instances === null ? 'Nothing is known yet' : 'No instance'));
  return rows;
}

/** @param {string} text */
function noteRow(text) {
  const cell = element('td', 'soft', text);
  cell.setAttribute('colspan', '9');
  return element('tr', '', [cell]);
}

/**
 * @param {any} instance
 * @param {{ server: any, seen: boolean, difference: string | undefined, suspect: boolean, flow: { now: number | undefined } }} seen
 */
function instanceRow({ id, state, backup, weight, labels = {} }, { server, seen, difference, suspect, flow }) {
  const state_ = [state, ...(backup ? ['backup'] : []), ...(suspect ? ['suspect'] : [])].join(', ');
  const haproxy = server?.status ?? (seen && difference !== undefined ? 'absent' : '–');
  const good = /^(UP|no check)/.test(haproxy);
  const row = element('tr', '', [
    element('td', 'name', id),
    element('td', suspect || state === 'drain' ? 'warn' : '', state_),
    element(
      'td',
      difference === undefined ? (good ? 'good' : '') : 'bad',
      difference === undefined ? haproxy : `${haproxy}: ${difference}`,
    ),
    element('td', 'soft', [server?.check, server?.detail].filter(Boolean).join(' ') || '·'),
    element('td', 'soft', labels.az ?? labels.zone ?? labels.availability_zone ?? '·'),
    element('td', 'number', String(weight ?? server?.weight ?? '·')),
    element('td', 'number', String(server?.current ?? '·')),
    element('td', 'number', flow.now === undefined ? '·' : rate(flow.now)),
    element('td', server?.errors > 0 ? 'number warn' : 'number soft', String(server?.errors ?? '·')),
  ]);
  row.dataset.differs = String(difference !== undefined);
  return row;
}
