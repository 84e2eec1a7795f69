import { clock } from '../../common/async/clock.ts';
import { type Log, silentLog } from '../../common/daemon/log.ts';
import type { Instance } from '../../common/instance.ts';
import { firstOf } from '../../common/wording.ts';
import { changesBetween } from '../catalog/changes.ts';
import type { ServiceState, Snapshot } from '../output.ts';
import type { Events } from './events.ts';
import type { Trace } from './trace-shape.ts';
import type { Traces } from './traces.ts';

/** How many ids of one kind a log line or an event names. */
const maxNamed = 10;

export interface ReportDeps {
  readonly log: Log;
  readonly events: Events;
  readonly traces: Traces;
  /** Where the instances of a service came from. */
  readonly origin: (service: string) => { readonly source?: string; readonly revision?: string };
}

/** Logs, writes down and measures what was applied. `names` are those that changed; undefined stands for all, in one line. */
export function report(
  snapshots: { readonly before: Snapshot; readonly after: Snapshot },
  names: Iterable<string> | undefined,
  deps: ReportDeps,
): void {
  const { before, after } = snapshots;
  if (names === undefined) {
    const states = [...after.values()];
    const unknown = states.filter(({ instances }) => instances === undefined).map(({ name }) => name);
    const instances = states.reduce((count, state) => count + (state.instances?.length ?? 0), 0);
    for (const state of states) {
      const known = before.get(state.name);
      if (known !== undefined && state !== known) reportService(known, state, { ...deps, log: silentLog });
    }
    deps.log.info('all services applied', { services: after.size, instances, ...(unknown.length > 0 && { unknown }) });
    return;
  }
  for (const name of names) {
    const state = after.get(name);
    if (state === undefined) {
      deps.log.info('a service was removed', { service: name });
      deps.events.record({ kind: 'service_removed', level: 'info', service: name });
    } else if (state !== before.get(name)) {
      reportService(before.get(name), state, deps);
    }
  }
}

function reportService(
  before: ServiceState | undefined,
  { name, instances, seenAt }: ServiceState,
  { log, events, traces, origin }: ReportDeps,
): void {
  const cost = events.takeCost(name);
  if (instances === undefined) return;
  const seconds = (clock.now() - seenAt) / 1000;
  const { added, removed, changed } = changesBetween(before?.instances ?? [], instances);
  const drains = changed.length === 0 ? new Set() : drainIds(before?.instances ?? [], instances);
  const drained = changed.filter((id) => drains.has(id));
  const others = changed.filter((id) => !drains.has(id));
  const milliseconds = Math.round(seconds * 10_000) / 10;
  const from = origin(name);
  const seen_at = new Date(clock.wallTime() - seconds * 1000).toISOString();
  for (const [change, ids] of Object.entries({ added, removed, drained, changed: others })) {
    if (ids.length > 0) traces.note(name, ids, { change: change as Trace['change'], seen_at, milliseconds, ...from });
  }
  const fields = {
    service: name,
    instances: instances.length,
    ...named('added', added),
    ...named('removed', removed),
    ...named('drained', drained),
    ...named('changed', others),
    ...from,
    ...cost,
    milliseconds,
  };
  log.info('instances applied', fields);
  events.record({ kind: 'instances', level: cost !== undefined && cost.failed > 0 ? 'warn' : 'info', ...fields });
}

/** Ids of those that drain since now. */
function drainIds(before: readonly Instance[], after: readonly Instance[]): ReadonlySet<string> {
  const already = new Set(before.filter(({ state }) => state === 'drain').map(({ id }) => id));
  return new Set(after.filter(({ id, state }) => state === 'drain' && !already.has(id)).map(({ id }) => id));
}

function named(field: string, ids: readonly string[]): Readonly<Record<string, readonly string[]>> {
  if (ids.length === 0) return {};
  return { [field]: firstOf(ids, maxNamed) };
}
