import type { PreferenceReport } from '../../catalog/preference.ts';
import type { PartStatus } from '../../source.ts';
import type { HaproxyReport } from '../haproxy-shape.ts';
import type { ServiceReport } from '../service-shape.ts';
import type { ServiceFacts } from './facts.ts';

const origins: Readonly<Record<string, string>> = {
  discovered: 'what its source found',
  previous: 'what was there before, because its source finds nothing now',
  defaults: 'its default servers, because its source finds nothing',
  cache: 'the state file, because its source has not answered yet',
  nothing: 'nothing: its source has not answered yet and the state file does not know it; HAProxy keeps what it has',
};

/** What is to be said of a service as a whole, a line each. */
export function serviceNotes({ daemon, service, report, haproxy }: ServiceFacts): readonly string[] {
  const { method, revision, reason, age, origin, rules = [] } = report;
  const fresh = reason === null ? 'known to be current' : `may be out of date: ${reason}`;
  const proof = age === null ? '' : `, last proof ${age.toFixed(1)} s ago`;
  return [
    ...(daemon.running ? [] : [`${daemon.reason}; what follows was read directly, and nothing was changed`]),
    `${service}: from ${origins[origin] ?? origin}`,
    `source ${method}${revision === null ? '' : `, revision ${revision}`}: ${fresh}${proof}`,
    ...(report.sources ?? []).map((part) => `  ${part.name}: ${describePart(part)}`),
    ...rules.map((rule) => `rule: ${rule}`),
    ...describePublished(report),
    ...(report.prefer === undefined ? [] : [describePreference(report.prefer)]),
    ...describeGuard(report),
    ...haproxyNotes(haproxy, service).map((note) => `HAProxy: ${note}`),
  ];
}

const roles = { used: 'in use', asked: 'asked and not in use', idle: 'not asked' } as const;

/** How one of several sources is doing. */
export function describePart({ method, role, instances, reason }: PartStatus): string {
  const found = role === 'idle' ? '' : instances === null ? ', no answer yet' : `, ${instances} instances`;
  return `${method}, ${roles[role]}${found}${reason === null || instances === null ? '' : `, may be out of date: ${reason}`}`;
}

function describePublished({ published }: ServiceReport): readonly string[] {
  if (published === undefined) return [];
  const { where, refused } = published;
  return [
    ...(where === null ? [] : [`configuration from ${where} is over the local one`]),
    ...(refused === null ? [] : [`the published configuration is refused: ${refused}`]),
  ];
}

function describePreference({ label, value, local, in_force: inForce }: PreferenceReport): string {
  return `prefers ${label} ${value}: ${local} local, ${inForce ? 'they come first' : 'all are used alike now'}`;
}

function describeGuard({ suspects = {} }: ServiceReport): readonly string[] {
  const count = Object.keys(suspects).length;
  if (count === 0) return [];
  return [`expiry guard in force: ${count} whose leases ran out together are kept as suspects`];
}

function haproxyNotes(haproxy: HaproxyReport | null, service: string): readonly string[] {
  if (haproxy === null) return [];
  const { rejected, pendingReload = [], held = [], problems } = haproxy;
  return [
    ...(Object.hasOwn(problems, service) ? [`cannot have it: ${problems[service]}`] : []),
    ...(rejected ? [`refuses the new configuration: ${rejected}`] : []),
    ...pendingReload.map((reason) => `a reload is due: ${reason}`),
    ...held
      .filter((one) => one.service === service)
      .map(({ name, held: what }) => `${name} is in ${what}, set by someone else, and stays so`),
  ];
}
