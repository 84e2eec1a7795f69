import { formatTable } from '../common/describe.ts';
import type { PreferenceReport } from './preference.ts';
import type { PartStatus } from './source.ts';
import type { ServiceReport } from './state.ts';
import type { StatusReport } from './statustable.ts';

const origins: Readonly<Record<string, string>> = {
  discovered: 'what its source found',
  previous: 'what was there before, because its source finds nothing now',
  defaults: 'its default servers, because its source finds nothing',
  cache: 'the state file, because its source has not answered yet',
  nothing: 'nothing: its source has not answered yet and the state file does not know it; HAProxy keeps what it has',
};

/**
 * What `synapse explain` prints: why each instance of a service is, or is not, in HAProxy.
 * @throws when there is no such service, or no such server in it
 */
export function explain(state: StatusReport, service: string, server?: string): string {
  const report = Object.hasOwn(state.services, service) ? state.services[service] : undefined;
  if (report === undefined) {
    throw new Error(`no service ${service}; there are ${Object.keys(state.services).sort().join(', ') || 'none'}`);
  }
  const rows = verdicts(report).filter(([id]) => server === undefined || id === server || id.endsWith(`/${server}`));
  if (server !== undefined && rows.length === 0) {
    throw new Error(`${report.method} knows no ${server} of ${service}, and no record of that name was skipped`);
  }
  const { method, revision, reason, age, origin } = report;
  const fresh = reason === null ? 'known to be current' : `may be out of date: ${reason}`;
  const proof = age === null ? '' : `, last proof ${age.toFixed(1)} s ago`;
  const haproxy = haproxyNotes(state.haproxy, service, server);
  return [
    `${service}: from ${origins[origin] ?? origin}\n`,
    `source ${method}${revision === null ? '' : `, revision ${revision}`}: ${fresh}${proof}\n`,
    ...(report.sources ?? []).map((part) => `  ${part.name}: ${describePart(part)}\n`),
    ...describePublished(report),
    ...(report.prefer === undefined ? [] : [describePreference(report.prefer)]),
    ...haproxy.map((note) => `HAProxy: ${note}\n`),
    '\n',
    formatTable([['INSTANCE', 'USED', 'WHY'], ...rows]),
  ].join('');
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
    ...(where === null ? [] : [`configuration from ${where} is over the local one\n`]),
    ...(refused === null ? [] : [`the published configuration is refused: ${refused}\n`]),
  ];
}

function describePreference({ label, value, local, in_force: inForce }: PreferenceReport): string {
  return `prefers ${label} ${value}: ${local} local, ${inForce ? 'they come first' : 'all are used alike now'}\n`;
}

function verdicts({
  instances,
  suspects = {},
  left_out: out,
  rejected,
}: ServiceReport): [id: string, used: string, why: string][] {
  return [
    ...(instances ?? []).map(({ id, state, backup }): [string, string, string] => {
      const how = state === 'drain' ? 'drains: finishes what it has' : backup ? 'as a backup' : '';
      if (!Object.hasOwn(suspects, id)) return [id, 'yes', how];
      const why = `suspect: its lease expired together with most others, kept until ${suspects[id]}`;
      return [id, 'yes', how === '' ? why : `${how}; ${why}`];
    }),
    ...out.map(({ id, reason }): [string, string, string] => [id, 'no', reason]),
    ...rejected.map(({ where, reason }): [string, string, string] => [where, 'no', `skipped: ${reason}`]),
  ];
}

/** What the output's own status says of this service, as far as it says anything. */
function haproxyNotes(haproxy: unknown, service: string, server: string | undefined): readonly string[] {
  const {
    rejected,
    pendingReload = [],
    held = [],
    problems = {},
  } = (haproxy ?? {}) as {
    readonly rejected?: string | null;
    readonly pendingReload?: readonly string[];
    readonly held?: readonly { readonly service: string; readonly name: string; readonly held: string }[];
    readonly problems?: Readonly<Record<string, string>>;
  };
  return [
    ...(Object.hasOwn(problems, service) ? [`cannot have it: ${problems[service]}`] : []),
    ...(rejected ? [`refuses the new configuration: ${rejected}`] : []),
    ...pendingReload.map((reason) => `a reload is due: ${reason}`),
    ...held
      .filter(({ service: of, name }) => of === service && (server === undefined || name === server))
      .map(({ name, held: what }) => `${name} is in ${what}, set by someone else, and stays so`),
  ];
}
