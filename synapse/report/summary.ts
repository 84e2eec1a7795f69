import type { HaproxyReport } from './haproxy-shape.ts';
import type { ServiceReport } from './service-shape.ts';
import type { SynapseState } from './status-shape.ts';

/** One service in a line: what a list of a thousand shows. */
export interface ServiceSummary extends Pick<ServiceReport, 'method' | 'origin' | 'reason' | 'age' | 'changed_at'> {
  /** Which of its sources is in use, when it is not the first one. */
  readonly fallback: string | null;
  readonly known: boolean;
  readonly up: number;
  readonly drain: number;
  /** Of those that are up. */
  readonly backup: number;
  readonly suspects: number;
  readonly rejected: number;
  readonly left_out: number;
  /** Why its published configuration is refused. */
  readonly refused: string | null;
}

/** What `/api/v1/summary` answers, beside who answers. */
export interface Summary {
  readonly services: Readonly<Record<string, ServiceSummary>>;
  readonly haproxy: HaproxyReport | null;
  readonly file_output?: SynapseState['file_output'];
}

export function summaryOf({ services, ...rest }: SynapseState): Summary {
  const entries = Object.entries(services).map(([name, report]) => [name, summarize(report)] as const);
  return { ...rest, services: Object.fromEntries(entries) };
}

function summarize(report: ServiceReport): ServiceSummary {
  const { method, origin, reason, age, changed_at, sources = [], instances, suspects = {}, published } = report;
  const used = sources.findIndex(({ role }) => role === 'used');
  const up = instances?.filter(({ state }) => state === 'up') ?? [];
  return {
    method,
    origin,
    reason,
    age,
    changed_at,
    fallback: used > 0 && sources[0]?.role !== 'used' ? (sources[used]?.name ?? null) : null,
    known: instances !== null,
    up: up.length,
    drain: instances?.filter(({ state }) => state === 'drain').length ?? 0,
    backup: up.filter(({ backup }) => backup).length,
    suspects: Object.keys(suspects).length,
    rejected: report.rejected.length,
    left_out: report.left_out.length,
    refused: published?.refused ?? null,
  };
}
