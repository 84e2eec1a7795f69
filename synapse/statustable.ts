import { formatTable } from '../common/describe.ts';
import type { ServiceReport, SynapseState } from './state.ts';

/** The answer of `/api/v1/state`. */
export interface StatusReport extends SynapseState {
  readonly version: string;
  /** Why it is not ready; null when it is. */
  readonly reason: string | null;
}

/** What is shown of HAProxy, as far as it is there. */
interface HaproxyReport {
  readonly sockets?: readonly {
    readonly path: string;
    readonly connected: boolean;
    readonly version: string | null;
    readonly workerPid: number | null;
    readonly lastError: string | null;
  }[];
  readonly pendingReload?: readonly string[];
  readonly rejected?: string | null;
  readonly lastError?: string | null;
  readonly held?: readonly { readonly backend: string; readonly name: string; readonly held: string }[];
  readonly problems?: Readonly<Record<string, string>>;
}

/** What `synapse status` prints. */
export function formatStatus(state: StatusReport, now: number = Date.now()): string {
  const services = Object.entries(state.services);
  const rows = services.flatMap(([name, service]) => serviceRows(name, service, now));
  const notes = services.flatMap(([name, service]) => serviceNotes(name, service));
  return [
    `synapse ${state.version}: ${state.reason ?? 'ready'}\n`,
    ...haproxyLines((state.haproxy ?? {}) as HaproxyReport),
    ...(state.file_output?.reason ? [`file_output: ${state.file_output.reason}\n`] : []),
    '\n',
    formatTable([['SERVICE', 'INSTANCE', 'STATE', 'WEIGHT', 'FROM', 'CHANGED'], ...rows]),
    ...(notes.length > 0 ? ['\n', ...notes] : []),
  ].join('');
}

function serviceRows(name: string, service: ServiceReport, now: number): readonly (readonly string[])[] {
  const { instances, method, sources, suspects = {}, origin, changed_at: changedAt } = service;
  const inUse = sources?.filter(({ role }) => role === 'used').map((part) => `${part.name} (${part.method})`);
  const from = origin === 'discovered' ? inUse?.join(', ') || method : origin;
  const changed = changedAt === null ? '' : age(now - Date.parse(changedAt));
  if (instances === null) return [[name, '(not known yet)', '', '', from, changed]];
  if (instances.length === 0) return [[name, '(none)', '', '', from, changed]];
  return instances.map(({ id, state, backup, weight }) => [
    name,
    id,
    [state, ...(backup ? ['backup'] : []), ...(Object.hasOwn(suspects, id) ? ['suspect'] : [])].join(', '),
    weight === undefined ? '' : String(weight),
    from,
    changed,
  ]);
}

function serviceNotes(name: string, { reason, rejected, published }: ServiceReport): readonly string[] {
  const notes = reason === null ? [] : [`${name}: may be out of date: ${reason}\n`];
  if (published?.refused) notes.push(`${name}: the published configuration is refused: ${published.refused}\n`);
  return [...notes, ...rejected.map((record) => `${name}: skipped ${record.where}: ${record.reason}\n`)];
}

function haproxyLines(haproxy: HaproxyReport): readonly string[] {
  const { sockets = [], pendingReload = [], rejected, lastError, held = [], problems = {} } = haproxy;
  return [
    ...sockets.map(({ path, connected, version, workerPid, lastError: error }) =>
      connected
        ? `HAProxy ${version} (worker ${workerPid}) at ${path}\n`
        : `HAProxy at ${path}: not connected: ${error}\n`,
    ),
    ...(rejected ? [`HAProxy refuses the new configuration: ${rejected}\n`] : []),
    ...(lastError ? [`HAProxy: ${lastError}\n`] : []),
    ...pendingReload.map((reason) => `reload is due: ${reason}\n`),
    ...held.map((server) => `${server.backend}/${server.name}: ${server.held}, set by someone else\n`),
    ...Object.entries(problems).map(([service, reason]) => `${service}: not in HAProxy: ${reason}\n`),
  ];
}

function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
