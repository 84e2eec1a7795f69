import type { Log } from '../common/log.ts';
import { changesBetween } from './changes.ts';
import { propagation } from './metrics.ts';
import type { ServiceState, Snapshot } from './output.ts';

/** How many ids of one kind a log line names. */
const maxNamed = 10;

/** Logs and measures what was applied. `names` are those that changed; undefined stands for all, in one line. */
export function report<Config>(
  snapshots: { readonly before: Snapshot<Config>; readonly after: Snapshot<Config> },
  names: Iterable<string> | undefined,
  deps: { readonly log: Log },
): void {
  const { before, after } = snapshots;
  if (names === undefined) {
    const states = [...after.values()];
    const unknown = states.filter(({ instances }) => instances === undefined).map(({ name }) => name);
    const instances = states.reduce((count, state) => count + (state.instances?.length ?? 0), 0);
    deps.log.info('all services applied', { services: after.size, instances, ...(unknown.length > 0 && { unknown }) });
    return;
  }
  for (const name of names) {
    const state = after.get(name);
    if (state === undefined) deps.log.info('a service was removed', { service: name });
    else if (state !== before.get(name)) reportService(before.get(name), state, deps.log);
  }
}

function reportService<Config>(
  before: ServiceState<Config> | undefined,
  { name, instances, seenAt }: ServiceState<Config>,
  log: Log,
): void {
  if (instances === undefined) return;
  const seconds = (performance.now() - seenAt) / 1000;
  propagation.observe(seconds);
  const { added, removed, changed } = changesBetween(before?.instances ?? [], instances);
  log.info('instances applied', {
    service: name,
    instances: instances.length,
    ...named('added', added),
    ...named('removed', removed),
    ...named('changed', changed),
    milliseconds: Math.round(seconds * 10_000) / 10,
  });
}

function named(field: string, ids: readonly string[]): Readonly<Record<string, readonly string[]>> {
  if (ids.length === 0) return {};
  return { [field]: ids.length > maxNamed ? [...ids.slice(0, maxNamed), `and ${ids.length - maxNamed} more`] : ids };
}
