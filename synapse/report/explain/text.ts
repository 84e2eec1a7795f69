import { clock } from '../../../common/async/clock.ts';
import { type Cell, formatTable, heading, plain, type Style } from '../../../common/cli/table.ts';
import { oneLine } from '../../../common/reason.ts';
import { visibleLine } from '../../../common/visible.ts';
import { formatAge, formatLatency } from '../../../common/wording.ts';
import type { ServerStatistics } from '../../haproxy/statistics/server-shape.ts';
import type { RegistryRecord } from '../../source.ts';
import type { RecordReport } from '../record-shape.ts';
import { lostText, returnText } from '../service-notes.ts';
import type { ServiceReport } from '../service-shape.ts';
import type { Trace } from '../trace-shape.ts';
import { type Diagnosis, diagnose } from './diagnosis.ts';
import { type InstanceFacts, instancesOf, notesOf, type ServiceFacts } from './facts.ts';

/** What `synapse explain SERVICE` prints: the service, and one line for each of its instances. */
export function formatService(facts: ServiceFacts, style: Style = plain): string {
  const rows = instancesOf(facts).map((one): readonly Cell[] => {
    const { level, text } = diagnose(facts, one);
    return [one.id, one.instance === undefined ? 'no' : 'yes', { text: `${marks[level]} ${text}`, tone: level }];
  });
  const table =
    rows.length === 0 ? 'no instance is known\n' : formatTable([heading(['INSTANCE', 'USED', 'WHY']), ...rows], style);
  return `${formatNotes(facts)}\n${table}`;
}

/** What `synapse explain SERVICE SERVER` prints: each step from the announcement to HAProxy, and the diagnosis. */
export function formatInstances(
  facts: ServiceFacts,
  instances: readonly InstanceFacts[],
  style: Style = plain,
  now: number = clock.wallTime(),
): string {
  const blocks = instances.map((one) => {
    const steps: readonly (readonly [step: string, text: string | readonly string[]])[] = [
      ['announced', announcedText(facts, one.record)],
      ['seen', [seenText(facts, one, now), one.returns === undefined ? [] : returnText(one.returns)].flat(2)],
      ['selected', selectedText(facts.report, one)],
      ...(one.dropped.length === 0 ? [] : ([['not used', one.dropped]] as const)),
      ['sent', sentText(facts, one)],
      ['HAProxy', haproxyText(facts, one.server)],
    ];
    const rows = steps.flatMap(([step, text]) =>
      [text].flat().map((line, index): readonly Cell[] => [index === 0 ? { text: step, tone: 'strong' } : '', line]),
    );
    const title = style('strong', `${facts.service} ${one.id}`);
    return `${title}\n${formatTable(rows, style)}${formatDiagnosis(diagnose(facts, one), style)}\n`;
  });
  // Their own lines say that they are lost.
  return `${formatNotes(facts, instances)}\n${blocks.join('\n')}`;
}

function formatNotes(facts: ServiceFacts, shown: readonly InstanceFacts[] = []): string {
  return notesOf(facts, shown)
    .map((line) => `${visibleLine(line)}\n`)
    .join('');
}

const marks = { good: '✓', warn: '!', bad: '✗' } as const;

function formatDiagnosis({ level, text }: Diagnosis, style: Style): string {
  return style(level, `${marks[level]} ${visibleLine(text)}`);
}

function announcedText(
  { registry, report }: ServiceFacts,
  record: RegistryRecord | undefined,
): string | readonly string[] {
  if (registry.records === null) return `not known: ${registry.reason}`;
  if (record === undefined) {
    return /etcd/.test(report.method) ? 'no: etcd has no record of it' : `not by nerve: it comes from ${report.method}`;
  }
  const { where, name, announced_at: at, created, revision, lease, ttl, left } = record;
  const written = writtenText(created, revision);
  const lifetime = lease === null ? 'no lease: it stays until it is deleted' : `lease ${lease}${leftText(left, ttl)}`;
  const when = at === null ? '' : ` at ${at}`;
  return [`by ${name === '' ? 'an unnamed announcer' : name}${when}, as ${where}`, `${written}; ${lifetime}`];
}

function leftText(left: number | null, ttl: number | null): string {
  return left === null ? ', whose time left is not known' : `, ${left} of ${ttl} s left`;
}

function seenText(
  { report, daemon }: ServiceFacts,
  { trace, instance, record }: InstanceFacts,
  now: number,
): string | readonly string[] {
  if (!daemon.running) return 'not known: synapse is not running';
  if (trace === undefined) {
    if (instance !== undefined) return firstSetText(report, now);
    if (record === undefined) return 'no';
    const late = Number(record.revision) > Number(report.revision ?? 0);
    return `${late ? 'not yet: ' : ''}synapse has seen etcd up to revision ${report.revision ?? 'none'}`;
  }
  const { change, seen_at: at, source, revision, record: announced } = trace;
  const age = formatAge(now - Date.parse(at));
  const from = `${source === undefined ? '' : `, from ${source}`}${revision === undefined ? '' : ` at revision ${revision}`}`;
  const seen = `${change} at ${at}, ${age} ago${from}${latencyText(trace, record)}`;
  return announced === undefined || isSameRecord(announced, record) ? seen : [seen, recordText(announced)];
}

/** The record with which an instance was seen, when it has been written again since, or is gone. */
function recordText({ key, lease, created, revision, announcer }: RecordReport): string {
  const by = announcer ?? 'an unnamed announcer';
  const under = lease === null ? 'no lease' : `lease ${lease}`;
  return `with the record of ${by} at ${key}: ${writtenText(created, revision)}; ${under}`;
}

function isSameRecord({ key, lease, revision }: RecordReport, record: RegistryRecord | undefined): boolean {
  return record?.where === key && record.lease === lease && record.revision === revision;
}

function writtenText(created: string, revision: string): string {
  return created === revision
    ? `written at revision ${created}`
    : `first written at revision ${created}, last at ${revision}`;
}

/** When an instance was seen that has not changed since synapse started. */
function firstSetText({ answered_at: at }: ServiceReport, now: number): string {
  if (at === undefined) return 'not since synapse started: its source has not answered yet';
  return `in the first answer of its source, at ${at}, ${formatAge(now - Date.parse(at))} ago; it has not changed since`;
}

/** Milliseconds by which clocks that NTP keeps may differ. */
const clockToleranceMs = 10;

/** How long after the announcement synapse saw it, by the clocks of two hosts. */
function latencyText({ change, seen_at: at, revision }: Trace, record: RegistryRecord | undefined): string {
  const announced = record?.announced_at ?? null;
  // A record that was written again since has a later time than what was seen.
  if (announced === null || change === 'removed' || Number(record?.revision) > Number(revision)) return '';
  const lateMs = Date.parse(at) - Date.parse(announced);
  if (lateMs < -clockToleranceMs) return `; this host's clock is at least ${-lateMs} ms behind the announcer's`;
  return `, ${formatLatency(lateMs)} after it was announced by the announcer's clock`;
}

function selectedText({ rules = [], origin, sources }: ServiceReport, one: InstanceFacts): string {
  if (one.rejected !== undefined) return 'no: its record is skipped';
  if (one.leftOut !== undefined) return `no: ${one.leftOut}`;
  if (one.instance === undefined) return 'no';
  const { state, backup, host, hostName } = one.instance;
  const at = hostName === undefined ? '' : `, at ${host}, the address of ${hostName}`;
  const how = state === 'up' ? (backup ? 'as a backup' : 'yes') : `to ${state}`;
  const used = sources?.filter(({ role }) => role === 'used').map(({ name, method }) => `${name} (${method})`);
  const from = used === undefined || used.length === 0 ? '' : `, from ${used.join(', ')}`;
  const guard = one.lost === undefined ? '' : `, ${lostText(one.lost)}`;
  return `${how}${at}${from}${origins[origin]}${guard}; ${rules.length === 0 ? 'no rule filters instances' : rules.join('; ')}`;
}

const origins: Readonly<Record<ServiceReport['origin'], string>> = {
  discovered: '',
  previous: ', as before, because the source finds no instance now',
  defaults: ', as a default server, because the source finds no instance',
  cache: ', from the state file, because the source has not answered yet',
  nothing: '',
};

function sentText(
  { daemon, haproxy }: ServiceFacts,
  { sent, trace, server }: InstanceFacts,
): readonly string[] | string {
  if (!daemon.running) return 'not known: synapse is not running';
  if (sent.length === 0) {
    if (server === undefined) return 'nothing';
    const reload = haproxy?.lastReloadAt;
    return `no command since synapse started: HAProxy had it already, or has it from its file${reload ? `, loaded at ${reload}` : ''}`;
  }
  return sent.flatMap(({ socket, time, milliseconds, commands }) => [
    `at ${time} to ${socket}, answered within ${formatLatency(milliseconds)}${trace === undefined ? '' : `; in force ${formatLatency(trace.milliseconds)} after it was seen`}`,
    ...commands.map(({ command, reply }) => `  ${command} → ${replyText(reply)}`),
  ]);
}

function replyText(reply: string | null): string {
  return reply === null ? 'no reply' : reply === '' ? 'done' : oneLine(reply);
}

function haproxyText({ seen }: ServiceFacts, server: ServerStatistics | undefined): string {
  if (seen.reason !== null) return `does not answer: ${seen.reason}`;
  if (server === undefined) return 'does not have it';
  const { status, weight, address, check, detail, since } = server;
  const said = check === '' ? 'not checked by HAProxy' : oneLine(`check ${check} ${detail}`);
  const at = address === '' ? '' : `, ${address}`;
  return `${status} for ${formatAge(since * 1000)}, weight ${weight}${at}, ${said}`;
}
