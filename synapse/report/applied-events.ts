import { clock } from '../../common/async/clock.ts';
import { type Log, silentLog } from '../../common/daemon/log.ts';
import type { Instance } from '../../common/instance.ts';
import { firstOf } from '../../common/wording.ts';
import { recordIdOf } from '../addresses/place.ts';
import { changesBetween, type InstanceChanges } from '../catalog/changes.ts';
import type { DepartureReport, DeparturesTaken } from '../catalog/departures.ts';
import type { AppliedService, OutputInstance, ServiceState, Snapshot } from '../output.ts';
import type { Events } from './events.ts';
import type { RecordReport } from './record-shape.ts';
import { recordOf } from './records.ts';
import type { Trace } from './trace-shape.ts';
import type { Traces } from './traces.ts';

/** How many ids of one kind a log line or an event names. */
const maxNamed = 10;

/** A snapshot that was applied. */
export interface Applied {
  /** The snapshot that was applied before it. */
  readonly before: Snapshot;
  readonly after: Snapshot;
  /** Services that may differ between the two; undefined stands for all. */
  readonly changed: Iterable<string> | undefined;
  /** The commands that it took. */
  readonly services: readonly AppliedService[];
  /** How instances that are gone left their registries. */
  readonly departures: DeparturesTaken;
}

interface AppliedByService extends Applied {
  /** The commands that were sent for each service. */
  readonly sent: ReadonlyMap<string, AppliedService>;
}

/** Where applied snapshots are reported. */
export interface ReportDeps {
  readonly log: Log;
  readonly events: Events;
  readonly traces: Traces;
  /** Where the instances of a service came from. */
  readonly origin: (service: string) => { readonly source?: string; readonly revision?: string };
  /** The records of these instances of a service, by id. */
  readonly records: (service: string, ids: ReadonlySet<string>) => ReadonlyMap<string, RecordReport>;
}

/** Logs and records what was applied: each changed service, or one log line when all services were applied. */
export function recordApplied(done: Applied, deps: ReportDeps): void {
  const { before, after, changed, services } = done;
  const applied = { ...done, sent: new Map(services.map((one) => [one.service, one])) };
  if (changed === undefined) {
    reportAll(applied, deps);
    return;
  }
  for (const name of changed) {
    const state = after.get(name);
    if (state === undefined) {
      deps.log.info('a service was removed', { service: name });
      deps.events.record({ kind: 'service_removed', level: 'info', service: name });
    } else if (state !== before.get(name)) {
      reportService(state, applied, deps);
    }
  }
}

function reportAll(applied: AppliedByService, deps: ReportDeps): void {
  const { before, after } = applied;
  const states = [...after.values()];
  const unknown = states.filter(({ instances }) => instances === undefined).map(({ name }) => name);
  const instances = states.reduce((count, state) => count + (state.instances?.length ?? 0), 0);
  for (const state of states) {
    const known = before.get(state.name);
    if (known !== undefined && state !== known) reportService(state, applied, { ...deps, log: silentLog });
  }
  deps.log.info('all services applied', { services: after.size, instances, ...(unknown.length > 0 && { unknown }) });
}

function reportService(
  { name, instances, seenAt }: ServiceState,
  applied: AppliedByService,
  { log, events, traces, origin, records }: ReportDeps,
): void {
  if (instances === undefined) return;
  const sent = applied.sent.get(name);
  const cost = sent && { commands: sent.commands, failed: sent.failed };
  const milliseconds = Math.round((clock.now() - seenAt) * 10) / 10;
  const seen_at = new Date(clock.wallTime() - milliseconds).toISOString();
  const before = applied.before.get(name)?.instances ?? [];
  const changes = split(before, instances);
  const from = origin(name);
  const departures = applied.departures.get(name);
  const recordIds = recordIdsOf([...before, ...instances]);
  const departureOf = (id: string) => departures?.get(recordIds.get(id) ?? id);
  const found = new Map<string, RecordReport>();
  const present = [...changes.added, ...changes.drained, ...changes.changed];
  const byRecord = new Map(present.map((id) => [recordIds.get(id) ?? id, id]));
  for (const [recordId, record] of records(name, new Set(byRecord.keys()))) {
    const id = byRecord.get(recordId) ?? recordId;
    found.set(id, { ...record, instance: id });
  }
  addDeparted(found, changes.removed, { before, departureOf });
  for (const [change, ids] of Object.entries(changes) as [Trace['change'], readonly string[]][]) {
    for (const id of ids) {
      const how = change === 'removed' ? departureOf(id)?.how : undefined;
      const record = found.get(id);
      traces.note(name, id, {
        ...{ change, seen_at, milliseconds, ...from },
        ...(record !== undefined && { record }),
        ...(how !== undefined && { how }),
      });
    }
  }
  const lists = Object.entries(changes).filter(([, ids]) => ids.length > 0);
  const fields = {
    service: name,
    instances: instances.length,
    ...Object.fromEntries(lists.map(([change, ids]) => [change, firstOf(ids, maxNamed)])),
    ...from,
    ...(found.size > 0 && { records: [...found.values()].slice(0, maxNamed) }),
    ...cost,
    milliseconds,
  };
  log.info('instances applied', fields);
  events.record({ kind: 'instances', level: cost !== undefined && cost.failed > 0 ? 'warn' : 'info', ...fields });
}

/** Adds the last records of instances that are gone. */
function addDeparted(
  found: Map<string, RecordReport>,
  removed: readonly string[],
  { before, departureOf }: { readonly before: readonly Instance[]; readonly departureOf: DepartureOf },
): void {
  if (removed.length === 0) return;
  const known = new Map(before.map((instance) => [instance.id, instance]));
  for (const id of removed) {
    const origin = departureOf(id)?.origin;
    const instance = known.get(id);
    if (origin !== undefined && instance !== undefined) found.set(id, recordOf(instance, origin));
  }
}

type DepartureOf = (id: string) => DepartureReport | undefined;

/** Id of an instance at the address of its host name → id of its record. */
function recordIdsOf(instances: readonly OutputInstance[]): ReadonlyMap<string, string> {
  const named = instances.filter(({ hostName }) => hostName !== undefined);
  return new Map(named.map((instance) => [instance.id, recordIdOf(instance)]));
}

/** The ids of changed instances, those that began to drain apart from the others. */
function split(
  before: readonly Instance[],
  after: readonly Instance[],
): InstanceChanges & { readonly drained: readonly string[] } {
  const { added, removed, changed } = changesBetween(before, after);
  const drains = changed.length === 0 ? new Set<string>() : drainIds(before, after);
  const drained = changed.filter((id) => drains.has(id));
  return { added, removed, drained, changed: changed.filter((id) => !drains.has(id)) };
}

/** Ids of the instances that drain now and did not before. */
function drainIds(before: readonly Instance[], after: readonly Instance[]): ReadonlySet<string> {
  const already = new Set(before.filter(({ state }) => state === 'drain').map(({ id }) => id));
  return new Set(after.filter(({ id, state }) => state === 'drain' && !already.has(id)).map(({ id }) => id));
}
