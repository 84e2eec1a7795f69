import { clock } from '../../common/async/clock.ts';
import { type Cell, formatTable, heading, plain, type Style, type Tone } from '../../common/cli/table.ts';
import { visibleLine } from '../../common/visible.ts';
import { ageOf, counted, firstOf } from '../../common/wording.ts';
import type { ServerStatistics } from '../haproxy/statistics/server-shape.ts';
import type { HaproxyReport } from '../haproxy/status-shape.ts';
import { differences } from '../report/differences.ts';
import { calmText } from '../report/problems.ts';
import type { ServiceReport } from '../report/service-shape.ts';
import type { Problem, StatusReport } from '../report/status-shape.ts';
import { summaryOf } from '../report/summary.ts';

const titles = ['SERVICE', 'INSTANCE', 'STATE', 'WEIGHT', 'IN HAPROXY', 'FROM', 'PATH', 'CHANGED'];

/** What `synapse status` prints. */
export function formatStatus(status: StatusReport, style: Style = plain, now: number = clock.wallTime()): string {
  const services = Object.entries(status.services);
  const rows = services.flatMap(([name, service]) => serviceRows(name, service, { status, now }));
  const notes = services.flatMap(([name, service]) => recordNotes(name, service));
  return [
    headLine(status, style),
    // Without a daemon, the sockets are in the list of what was read.
    ...(status.daemon.running ? haproxyLines(status.haproxy) : []),
    ...(status.fleet === undefined ? [] : [fleetLine(status.fleet)]),
    ...problemLines(status.problems, { style, now }),
    '\n',
    formatTable([heading(titles), ...rows], style),
    ...(notes.length > 0 ? ['\n', ...notes] : []),
  ].join('');
}

function fleetLine({ id, path, proxies, requests, reason }: NonNullable<StatusReport['fleet']>): string {
  if (reason !== null) return `fleet: takes no part: ${visibleLine(reason)}\n`;
  const size = proxies === null ? '' : `, ${counted(proxies, 'proxy', 'proxies')}`;
  return `fleet: ${visibleLine(id)} at ${visibleLine(path)}${size}${requests > 0 ? `, ${counted(requests, 'open request')}` : ''}\n`;
}

function headLine(status: StatusReport, style: Style): string {
  const { daemon, read = [], version, reason, problems } = status;
  if (daemon.running) {
    const state = reason === null ? style('good', 'ready') : style('warn', reason);
    const { isProven, text } = calmText(summaryOf(status));
    const calm = reason === null && problems.length === 0 ? `; ${style(isProven ? 'good' : 'warn', text)}` : '';
    return `synapse ${version}: ${state}${calm}\n`;
  }
  return `${style('bad', String(daemon.reason))}\n${formatRead(read, style)}`;
}

/** What was read without the daemon, and what could not be read. */
export function formatRead(read: NonNullable<StatusReport['read']>, style: Style): string {
  const rows = read.map(({ what, found, reason }): readonly Cell[] => [
    `  ${what}`,
    reason === null ? String(found) : { text: `cannot be read: ${reason}`, tone: 'bad' },
  ]);
  const serves = read.some(({ what, reason }) => /^HAProxy /.test(what) && reason !== null)
    ? ''
    : 'HAProxy keeps the servers it has. ';
  return `${serves}What follows was read without it, and nothing was changed:\n${formatTable(rows, style)}`;
}

const marks: Readonly<Record<Problem['level'], readonly [string, Tone]>> = { bad: ['✗', 'bad'], warn: ['!', 'warn'] };

/** What is wrong and why, since when, what to do, and a command to begin with. */
function problemLines(
  problems: readonly Problem[],
  { style, now }: { readonly style: Style; readonly now: number },
): readonly string[] {
  return problems.flatMap(({ level, title, reason, since, remedy, command }) => {
    const [mark, tone] = marks[level];
    return [
      `\n${style(tone, `${mark} ${title}`)}${reason === undefined ? '' : `: ${visibleLine(reason)}`}\n`,
      `  ${style('dim', remedy)}\n`,
      ...(since === null ? [] : [`  ${style('dim', `since ${since}, ${ageOf(since, now)} ago`)}\n`]),
      `  $ ${visibleLine(command)}\n`,
    ];
  });
}

function haproxyLines(haproxy: HaproxyReport | null): readonly string[] {
  const connected = haproxy?.sockets.filter((socket) => socket.connected) ?? [];
  return connected.map(({ path, version, workerPid }) => `HAProxy ${version} (worker ${workerPid}) at ${path}\n`);
}

function serviceRows(
  name: string,
  service: ServiceReport,
  { status, now }: { readonly status: StatusReport; readonly now: number },
): readonly (readonly Cell[])[] {
  const { instances, changed_at: changedAt } = service;
  const from = fromText(service);
  const path = visibleLine(firstOf(service.paths ?? [], 1).join(' '));
  const changed = ageOf(changedAt, now);
  if (instances === null) return [[name, '(not known yet)', '', '', '', from, path, changed]];
  if (instances.length === 0) return [[name, { text: '(none)', tone: 'bad' }, '', '', '', from, path, changed]];
  const servers = status.servers?.[name];
  const differ = servers === undefined ? {} : differences(instances, servers);
  const byName = new Map(servers?.map((server) => [server.name, server]));
  return instances.map(({ id, state, backup, weight }) => {
    const kept = keptWords(service, id);
    const words = [state, ...(backup ? ['backup'] : []), ...kept];
    const tone: Tone = kept.length > 0 || state !== 'up' ? 'warn' : 'good';
    return [
      name,
      id,
      { text: words.join(', '), tone },
      weight === undefined ? '' : String(weight),
      servers === undefined ? '' : seenCell(byName.get(id), differ[id]),
      from,
      path,
      changed,
    ];
  });
}

/** How an instance is kept although its lease is gone. */
function keptWords({ suspects = {}, lost = {} }: ServiceReport, id: string): readonly string[] {
  const one = Object.hasOwn(lost, id) ? lost[id] : undefined;
  if (one === undefined) return Object.hasOwn(suspects, id) ? ['suspect'] : [];
  return [one.phase === 'suspect' ? 'suspect' : 'held', ...(one.look.includes('blind') ? ['looks are blind'] : [])];
}

/** The state of a server in HAProxy, after an exclamation mark when it differs from ours. */
function seenCell(server: ServerStatistics | undefined, difference: string | undefined): Cell {
  if (server === undefined) return { text: '! missing', tone: 'bad' };
  const weight = server.weight === 0 && difference !== undefined ? ['weight 0'] : [];
  const text = [server.status, ...(server.check === '' ? [] : [server.check]), ...weight].join(', ');
  return difference === undefined ? text : { text: `! ${text}`, tone: 'bad' };
}

/** Where the instances of a service come from. */
export function fromText({ method, origin, sources }: ServiceReport): string {
  if (origin !== 'discovered') return origin === 'cache' ? 'state file' : origin;
  const inUse = sources?.filter(({ role }) => role === 'used').map((part) => `${part.name} (${part.method})`);
  return inUse?.join(', ') || method;
}

function recordNotes(name: string, { rejected, left_out: leftOut }: ServiceReport): readonly string[] {
  return [
    ...rejected.map((record) => `${visibleLine(`${name}: skipped ${record.where}: ${record.reason}`)}\n`),
    ...(leftOut.length === 0
      ? []
      : [`${name}: ${counted(leftOut.length, 'instance')} left out; synapse explain ${name} says why\n`]),
  ];
}
