import type { ServiceReport } from './service-shape.ts';
import type { SynapseState } from './status-shape.ts';

/** One service in one line of a list. */
export interface ServiceSummary
  extends Pick<ServiceReport, 'method' | 'origin' | 'reason' | 'age' | 'changed_at' | 'haproxy'> {
  /** Name of the source in use, when it is not the first one. */
  readonly fallback: string | null;
  /** False while nothing is known of its instances. */
  readonly known: boolean;
  /** Number of instances that are up. */
  readonly up: number;
  /** Number of instances that drain. */
  readonly drain: number;
  /** Number of instances that are up and backups. */
  readonly backup: number;
  readonly suspects: number;
  /** Number of instances that are kept although their leases are gone, suspects included. */
  readonly lost: number;
  /** Number of instances that max_instances leaves out. */
  readonly over_limit: number;
  /** Number of records that cannot be used, at most 100. */
  readonly rejected: number;
  /** Number of instances that were found and are not used, at most 100. */
  readonly left_out: number;
  /** Number of instances, at most 100, that are left out because their host names have no addresses. */
  readonly unresolved: number;
  /** Number of host names, at most 100, that cannot be looked up now. */
  readonly failing_names: number;
  /** Number of instances, at most 100, that are left out because traffic may not go to their addresses. */
  readonly refused_instances: number;
  /** Why its newest published configuration is refused. */
  readonly refused: string | null;
}

/** The state of synapse with one line for each service. */
export interface Summary extends Omit<SynapseState, 'services'> {
  readonly services: Readonly<Record<string, ServiceSummary>>;
}

/** Summarises each service. */
export function summaryOf({ services, ...rest }: SynapseState): Summary {
  const entries = Object.entries(services).map(([name, report]) => [name, summarise(report)] as const);
  return { ...rest, services: Object.fromEntries(entries) };
}

function summarise(report: ServiceReport): ServiceSummary {
  const {
    method,
    origin,
    reason,
    age,
    changed_at,
    sources = [],
    instances,
    suspects = {},
    lost = {},
    published,
  } = report;
  const used = sources.findIndex(({ role }) => role === 'used');
  const up = instances?.filter(({ state }) => state === 'up') ?? [];
  return {
    method,
    origin,
    reason,
    age,
    changed_at,
    ...(report.haproxy !== undefined && { haproxy: report.haproxy }),
    fallback: used > 0 && sources[0]?.role !== 'used' ? (sources[used]?.name ?? null) : null,
    known: instances !== null,
    up: up.length,
    drain: instances?.filter(({ state }) => state === 'drain').length ?? 0,
    backup: up.filter(({ backup }) => backup).length,
    suspects: Object.keys(suspects).length,
    lost: Object.keys(lost).length,
    over_limit: report.over_limit ?? 0,
    rejected: report.rejected.length,
    left_out: report.left_out.length,
    unresolved: report.left_out.filter(({ kind }) => kind === 'unresolved').length,
    failing_names: report.failing_names?.length ?? 0,
    refused_instances: report.left_out.filter(({ kind }) => kind === 'refused').length,
    refused: published?.refused ?? null,
  };
}
