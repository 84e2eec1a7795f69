import { clock } from '../../../common/async/clock.ts';
import { type Cell, formatTable, heading, plain, type Style } from '../../../common/cli/table.ts';
import { oneLine } from '../../../common/reason.ts';
import { formatAge } from '../../../common/wording.ts';
import type { RegistryRecord } from '../../source.ts';
import type { ServerReport } from '../haproxy-shape.ts';
import type { ServiceReport } from '../service-shape.ts';
import type { Trace } from '../trace-shape.ts';
import { type Verdict, verdictOf } from './diagnosis.ts';
import { type InstanceFacts, instancesOf, type ServiceFacts } from './facts.ts';
import { serviceNotes } from './service.ts';

/** What `synapse explain SERVICE` prints: the service, and one line for each of its instances. */
export function formatService(facts: ServiceFacts, style: Style = plain): string {
  const rows = instancesOf(facts).map((one): readonly Cell[] => {
    const { level, text } = verdictOf(facts, one);
    return [one.id, one.instance === undefined ? 'no' : 'yes', { text: `${marks[level]} ${text}`, tone: level }];
  });
  const table =
    rows.length === 0 ? 'no instance is known\n' : formatTable([heading(['INSTANCE', 'USED', 'WHY']), ...rows], style);
  return `${serviceNotes(facts)
    .map((line) => `${line}\n`)
    .join('')}\n${table}`;
}

/** What `synapse explain SERVICE SERVER` prints: the whole way of each instance of that name. */
export function formatInstances(
  facts: ServiceFacts,
  instances: readonly InstanceFacts[],
  style: Style = plain,
  now: number = clock.wallTime(),
): string {
  const blocks = instances.map((one) => {
    const steps: readonly (readonly [string, string | readonly string[]])[] = [
      ['announced', announcedText(facts, one.record)],
      ['seen', seenText(facts, one, now)],
      ['chosen', chosenText(facts.report, one)],
      ['sent', sentText(facts, one)],
      ['HAProxy', haproxyText(facts, one.server)],
    ];
    const rows = steps.flatMap(([title, text]) =>
      (typeof text === 'string' ? [text] : text).map((line, index): readonly Cell[] => [
        index === 0 ? { text: title, tone: 'strong' } : '',
        line,
      ]),
    );
    return `${style('strong', `${facts.service} ${one.id}`)}\n${formatTable(rows, style)}${verdictLine(verdictOf(facts, one), style)}\n`;
  });
  return `${serviceNotes(facts)
    .map((line) => `${line}\n`)
    .join('')}\n${blocks.join('\n')}`;
}

const marks = { good: '✓', warn: '!', bad: '✗' } as const;

function verdictLine({ level, text }: Verdict, style: Style): string {
  return style(level, `${marks[level]} ${text}`);
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
  const written =
    created === revision
      ? `written at revision ${created}`
      : `first written at revision ${created}, last at ${revision}`;
  const kept =
    lease === null
      ? 'no lease: it stays until somebody deletes it'
      : `lease ${lease}${left === null ? ', which could not be asked for' : `, ${left} of ${ttl} s left`}`;
  const when = at === null ? '' : ` at ${at}`;
  return [`by ${name === '' ? 'somebody who gives no name' : name}${when}, as ${where}`, `${written}; ${kept}`];
}

function seenText({ report, daemon }: ServiceFacts, { trace, instance, record }: InstanceFacts, now: number): string {
  if (!daemon.running) return 'not known: synapse is not running';
  if (trace === undefined) {
    if (instance !== undefined) return firstSetText(report, now);
    return record === undefined ? 'no' : `synapse has seen etcd up to revision ${report.revision ?? 'none'}`;
  }
  const { change, seen_at: at, source, revision } = trace;
  const ago = formatAge(now - Date.parse(at));
  const from = `${source === undefined ? '' : `, from ${source}`}${revision === undefined ? '' : ` at revision ${revision}`}`;
  return `${change} at ${at}, ${ago} ago${from}${latencyText(trace, record)}`;
}

/** Of one that has not changed since synapse began. */
function firstSetText({ answered_at: at }: ServiceReport, now: number): string {
  if (at === undefined) return 'not since synapse began: its source has not answered yet';
  return `in the first full set that synapse took, at ${at}, ${formatAge(now - Date.parse(at))} ago; it has not changed since`;
}

/** Clocks that are kept by NTP differ by less, milliseconds. */
const tolerance = 10;

/** How long it took from the announcement, by two clocks. */
function latencyText({ change, seen_at: at, revision }: Trace, record: RegistryRecord | undefined): string {
  const announced = record?.announced_at ?? null;
  // Written once more since: its time is not that of what was seen.
  if (announced === null || change === 'removed' || Number(record?.revision) > Number(revision)) return '';
  const late = Date.parse(at) - Date.parse(announced);
  if (late < -tolerance) return `; this host's clock is at least ${-late} ms behind the announcer's`;
  const after = late < 10_000 ? `${Math.max(late, 0)} ms` : formatAge(late);
  return `, ${after} after it was announced by the announcer's clock`;
}

function chosenText({ rules = [], origin, sources }: ServiceReport, one: InstanceFacts): string {
  if (one.rejected !== undefined) return 'no: its record is skipped';
  if (one.leftOut !== undefined) return `no: ${one.leftOut}`;
  if (one.instance === undefined) return 'no';
  const used = sources?.filter(({ role }) => role === 'used').map(({ name, method }) => `${name} (${method})`);
  const by = rules.length === 0 ? 'nothing is filtered' : rules.join('; ');
  const from = used === undefined || used.length === 0 ? '' : `, from ${used.join(', ')}`;
  const kept = origin === 'discovered' ? '' : `, ${origins[origin] ?? origin}`;
  const guard = one.suspectUntil === undefined ? '' : `, kept by the expiry guard until ${one.suspectUntil}`;
  const how = one.instance.state === 'up' ? (one.instance.backup ? 'as a backup' : 'yes') : `to ${one.instance.state}`;
  return `${how}${from}${kept}${guard}; ${by}`;
}

const origins: Readonly<Record<string, string>> = {
  previous: 'because it was there before and the source finds nothing now',
  defaults: 'as a default server, because the source finds nothing',
  cache: 'from the state file, because the source has not answered',
};

function sentText(
  { daemon, haproxy }: ServiceFacts,
  { sent, trace, server }: InstanceFacts,
): readonly string[] | string {
  if (!daemon.running) return 'not known: synapse is not running';
  if (sent.length === 0) {
    if (server === undefined) return 'nothing';
    const reload = haproxy?.lastReloadAt;
    return `no command since synapse began: HAProxy had it, or has it from its file${reload ? `, loaded at ${reload}` : ''}`;
  }
  return sent.flatMap(({ socket, time, milliseconds, commands }) => [
    `at ${time} to ${socket}, answered within ${milliseconds} ms${trace === undefined ? '' : `; in force ${trace.milliseconds} ms after it was seen`}`,
    ...commands.map(
      ({ command, reply }) => `  ${command} → ${reply === null ? 'no reply' : reply === '' ? 'done' : oneLine(reply)}`,
    ),
  ]);
}

function haproxyText({ seen }: ServiceFacts, server: ServerReport | undefined): string {
  if (seen.reason !== null) return `cannot be asked: ${seen.reason}`;
  if (server === undefined) return 'does not have it';
  const { status, weight, address, check, detail, since } = server;
  const said = check === '' ? 'not checked by HAProxy' : oneLine(`check ${check} ${detail}`);
  const at = address === '' ? '' : `, ${address}`;
  return `${status} for ${formatAge(since * 1000)}, weight ${weight}${at}, ${said}`;
}
