import { recordIdOf } from '../../addresses/place.ts';
import type { ServerStatistics } from '../../haproxy/statistics/server-shape.ts';
import type { HaproxyReport } from '../../haproxy/status-shape.ts';
import type { OutputInstance } from '../../output.ts';
import type { RegistryRecord } from '../../source.ts';
import type { SeenServers } from '../api.ts';
import { type HeldServer, undoText } from '../held-server.ts';
import { haproxyNotes, serviceNotes } from '../service-notes.ts';
import type { ServiceReport } from '../service-shape.ts';
import type { DaemonState } from '../status-shape.ts';
import type { Trace } from '../trace-shape.ts';
import type { SentReport } from './explain-shape.ts';

/** Everything that is known of one service: by synapse, by HAProxy and by the registry. */
export interface ServiceFacts {
  readonly daemon: DaemonState;
  readonly service: string;
  readonly report: ServiceReport;
  /** State of HAProxy's output; null before it starts. */
  readonly haproxy: HaproxyReport | null;
  readonly seen: SeenServers;
  /** The registry's records; null when it was not asked or did not answer, which `reason` says. */
  readonly registry: { readonly records: readonly RegistryRecord[] | null; readonly reason: string | null };
  /** The newest change of each instance, by id. */
  readonly traces: Readonly<Record<string, Trace>>;
  /** The last commands about each instance, by id. */
  readonly sent: Readonly<Record<string, readonly SentReport[]>>;
}

/** Everything that is known of one instance, or of a record that cannot be used. */
export interface InstanceFacts {
  /** Its id; of a record that cannot be used, its key. */
  readonly id: string;
  /** The instance in use; undefined when it is not in use. */
  readonly instance: OutputInstance | undefined;
  /** The rule that leaves it out. */
  readonly leftOut: string | undefined;
  /** Why its record cannot be used. */
  readonly rejected: string | undefined;
  readonly record: RegistryRecord | undefined;
  readonly trace: Trace | undefined;
  readonly sent: readonly SentReport[];
  readonly server: ServerStatistics | undefined;
  /** Until when it is kept as a suspect, ISO 8601. */
  readonly suspectUntil: string | undefined;
  /** How it is kept although its lease is gone. */
  readonly lost: NonNullable<ServiceReport['lost']>[string] | undefined;
  /** How often it has left its registry and come back. */
  readonly returns: NonNullable<ServiceReport['returns']>[string] | undefined;
  /** What of its record is not used, and why. */
  readonly dropped: readonly string[];
  /** What was set in HAProxy by hand, and how it ends. */
  readonly held: { readonly what: HeldServer['held']; readonly undo: string } | undefined;
}

/** The service as a whole, a line each. */
export function notesOf(
  { daemon, service, report, haproxy }: ServiceFacts,
  shown: readonly InstanceFacts[] = [],
): readonly string[] {
  const { lost = {} } = report;
  const ids = new Set(shown.map(({ id }) => id));
  const others = Object.fromEntries(Object.entries(lost).filter(([id]) => !ids.has(id)));
  return [
    ...(daemon.running ? [] : [`${daemon.reason}; what follows was read without it, and nothing was changed`]),
    ...serviceNotes(service, { ...report, lost: others }),
    ...haproxyNotes(service, haproxy),
  ];
}

/** Every instance that is used, left out or unexpected in HAProxy; with `server` only that one, even when it is gone. */
export function instancesOf(facts: ServiceFacts, server?: string): readonly InstanceFacts[] {
  const { report, seen, registry, traces } = facts;
  const ids = new Set((report.instances ?? []).map(({ id }) => id));
  for (const { id } of report.left_out) ids.add(id);
  for (const { where } of report.rejected) ids.add(where);
  const placed = placedIds(report);
  for (const { id, where } of registry.records ?? []) ids.add(placed.get(id ?? '') ?? id ?? where);
  // A server in maintenance was taken out of service and could not be deleted yet.
  for (const { name, status } of seen.servers ?? []) if (!/^MAINT/.test(status) || name === server) ids.add(name);
  if (server !== undefined) for (const id of Object.keys(traces)) ids.add(id);
  return [...ids]
    .filter((id) => server === undefined || id === (placed.get(server) ?? server) || id.endsWith(`/${server}`))
    .map((id) => instanceOf(facts, id));
}

function instanceOf(
  { service, report, haproxy, seen, registry, traces, sent }: ServiceFacts,
  id: string,
): InstanceFacts {
  const { instances, left_out: leftOut, rejected, suspects = {}, lost = {}, returns = {} } = report;
  const instance = instances?.find((one) => one.id === id);
  const options = haproxy?.dropped?.filter((one) => one.service === service && one.name === id) ?? [];
  const held = haproxy?.held?.find((one) => one.service === service && one.name === id);
  const recordId = instance === undefined ? id : recordIdOf(instance);
  return {
    id,
    instance,
    dropped: [...(instance?.dropped ?? []), ...options.map(({ reason }) => reason)],
    leftOut: leftOut.find((one) => one.id === id)?.reason,
    rejected: rejected.find(({ where }) => where === id)?.reason ?? unusable(registry.records, id),
    record: registry.records?.find((record) => record.id === recordId || record.where === id),
    trace: own(traces, id),
    sent: own(sent, id) ?? [],
    server: seen.servers?.find(({ name }) => name === id),
    suspectUntil: own(suspects, id),
    lost: own(lost, id),
    returns: own(returns, recordId),
    held: held && haproxy ? { what: held.held, undo: undoText(held, haproxy) } : undefined,
  };
}

/** Id of a record with a host name → id of its instance, which has an address. */
function placedIds({ instances }: ServiceReport): ReadonlyMap<string, string> {
  const named = (instances ?? []).filter(({ hostName }) => hostName !== undefined);
  return new Map(named.map((instance) => [recordIdOf(instance), instance.id]));
}

function unusable(records: readonly RegistryRecord[] | null, id: string): string | undefined {
  return records?.find((record) => record.where === id)?.reason ?? undefined;
}

function own<Value>(object: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
