import type { Instance } from '../../../common/instance.ts';
import type { RegistryRecord } from '../../source.ts';
import type { SeenServers } from '../api.ts';
import type { HaproxyReport, ServerReport } from '../haproxy-shape.ts';
import type { ServiceReport } from '../service-shape.ts';
import type { DaemonState } from '../status-shape.ts';
import type { Trace } from '../trace-shape.ts';
import type { SentReport } from './explain-shape.ts';

/** All that is known of one service, from all who know of it. */
export interface ServiceFacts {
  readonly daemon: DaemonState;
  readonly service: string;
  readonly report: ServiceReport;
  /** HAProxy's output; null before the first. */
  readonly haproxy: HaproxyReport | null;
  readonly seen: SeenServers;
  /** What the registry itself has; `records` null when it was not asked or did not answer, which `reason` says. */
  readonly registry: { readonly records: readonly RegistryRecord[] | null; readonly reason: string | null };
  readonly traces: Readonly<Record<string, Trace>>;
  readonly sent: Readonly<Record<string, readonly SentReport[]>>;
}

/** The same of one instance, or of a record that is none. */
export interface InstanceFacts {
  /** Its id; of a record that cannot be used, its key. */
  readonly id: string;
  /** As it is used; undefined when it is not. */
  readonly instance: Instance | undefined;
  /** Why a rule leaves it out. */
  readonly leftOut: string | undefined;
  /** Why its record cannot be used. */
  readonly rejected: string | undefined;
  readonly record: RegistryRecord | undefined;
  readonly trace: Trace | undefined;
  readonly sent: readonly SentReport[];
  readonly server: ServerReport | undefined;
  /** Until when it is kept as a suspect, ISO 8601. */
  readonly suspectUntil: string | undefined;
  /** What somebody else set in HAProxy. */
  readonly held: string | undefined;
}

/** Everything that is there, was left out, or should not be there; with `server` also what is gone, and only that one. */
export function instancesOf(facts: ServiceFacts, server?: string): readonly InstanceFacts[] {
  const { report, seen, registry, traces } = facts;
  const ids = new Set((report.instances ?? []).map(({ id }) => id));
  for (const { id } of report.left_out) ids.add(id);
  for (const { where } of report.rejected) ids.add(where);
  for (const { id, where } of registry.records ?? []) ids.add(id ?? where);
  // In maintenance is what we took out of service and could not delete yet.
  for (const { name, status } of seen.servers ?? []) if (!/^MAINT/.test(status) || name === server) ids.add(name);
  if (server !== undefined) for (const id of Object.keys(traces)) ids.add(id);
  return [...ids]
    .filter((id) => server === undefined || id === server || id.endsWith(`/${server}`))
    .map((id) => instanceOf(facts, id));
}

function instanceOf(
  { service, report, haproxy, seen, registry, traces, sent }: ServiceFacts,
  id: string,
): InstanceFacts {
  const { instances, left_out: out, rejected, suspects = {} } = report;
  return {
    id,
    instance: instances?.find((instance) => instance.id === id),
    leftOut: out.find((one) => one.id === id)?.reason,
    rejected: rejected.find(({ where }) => where === id)?.reason ?? unusable(registry.records, id),
    record: registry.records?.find((record) => record.id === id || record.where === id),
    trace: own(traces, id),
    sent: own(sent, id) ?? [],
    server: seen.servers?.find(({ name }) => name === id),
    suspectUntil: own(suspects, id),
    held: haproxy?.held?.find((one) => one.service === service && one.name === id)?.held,
  };
}

function unusable(records: readonly RegistryRecord[] | null, id: string): string | undefined {
  return records?.find((record) => record.where === id)?.reason ?? undefined;
}

function own<Value>(object: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
