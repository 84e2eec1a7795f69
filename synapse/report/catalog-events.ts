import type { Log } from '../../common/daemon/log.ts';
import { counted, firstOf } from '../../common/wording.ts';
import type { Unusable } from '../addresses/place.ts';
import type { CatalogChange } from '../catalog/catalog-entry.ts';
import { type EndedLoss, suspectsIn } from '../catalog/lost-instance.ts';
import { guardedInstances, refusedConfigs } from '../metrics.ts';
import type { Events } from './events.ts';
import { leaseText, lookText } from './lost-text.ts';

/** Ended losses of one change that are told one by one. */
const maxTold = 10;

/** Logs and records what happened to a service's lost instances and to its published configuration. */
export function recordCatalogChange(
  change: CatalogChange,
  { log, events }: { readonly log: Log; readonly events: Events },
): void {
  const { service, keptBefore, kept, ended, newlyRefused } = change;
  recordRefused(change, { log, events });
  for (const one of ended.slice(0, maxTold)) recordEnded(service, one, { log, events });
  if (ended.length > maxTold) log.info('more lost instances are dropped', { service, more: ended.length - maxTold });
  const [count, before] = [suspectsIn(kept), suspectsIn(keptBefore)];
  if (count > before) guardedInstances.inc({ service }, count - before);
  if (count > 0 && before === 0) {
    // Others are being looked at: the first suspect stands for all of the wave.
    const all = kept.size;
    log.warn('instances whose leases were lost together are kept as suspects', { service, suspects: all });
    const reason = `${counted(all, 'instance')} whose leases were lost together are kept as suspects if they answer`;
    events.record({ kind: 'guard_in_force', level: 'warn', service, instances: all, reason });
  } else if (count === 0 && before > 0) {
    log.info('no suspects are left', { service });
    events.record({ kind: 'guard_lifted', level: 'info', service });
  }
  recordLimit(change, { log, events });
  if (newlyRefused === null) return;
  refusedConfigs.inc({ service });
  log.error('published configuration refused', { service, reason: newlyRefused });
  events.record({ kind: 'published_refused', level: 'error', service, reason: newlyRefused });
}

/** Instances are left out because of `max_instances`, or no longer. */
function recordLimit(
  { service, overLimitBefore, overLimit }: CatalogChange,
  { log, events }: { readonly log: Log; readonly events: Events },
): void {
  if (overLimit > 0 && overLimitBefore === 0) {
    const reason = 'more instances are announced than max_instances: those that were announced last are left out';
    log.warn('instances are left out because of max_instances', { service, leftOut: overLimit, reason });
    events.record({ kind: 'limit_exceeded', level: 'warn', service, left_out: overLimit, reason });
  } else if (overLimit === 0 && overLimitBefore > 0) {
    log.info('no instances are left out because of max_instances any more', { service });
    events.record({ kind: 'limit_kept', level: 'info', service });
  }
}

/** Refused instances that one event names. */
const maxRefused = 10;

/** Tells of instances whose addresses are refused now and were not before. */
function recordRefused(
  { service, unusable, unusableBefore }: CatalogChange,
  { log, events }: { readonly log: Log; readonly events: Events },
): void {
  if (unusable === unusableBefore) return;
  const known = new Set(refusedIn(unusableBefore).map(({ id }) => id));
  const [first, ...more] = refusedIn(unusable).filter(({ id }) => !known.has(id));
  if (first === undefined) return;
  const where = firstOf(
    [first, ...more].map(({ id }) => id),
    maxRefused,
  ).join(', ');
  const { reason } = first;
  log.warn('instances are left out because of their addresses', { service, instances: where, reason });
  events.record({ kind: 'instance_refused', level: 'warn', service, where, reason });
}

function refusedIn(unusable: readonly Unusable[]): readonly Unusable[] {
  return unusable.filter(({ kind }) => kind === 'refused');
}

/** One that answered is worth a warning: its nerve died, and its service lives. */
function recordEnded(
  service: string,
  { lost, reason, answered }: EndedLoss,
  { log, events }: { readonly log: Log; readonly events: Events },
): void {
  const { instance, lease, look } = lost;
  const level = answered ? 'warn' : 'info';
  const said = lookText(look);
  const message = answered ? 'a lost instance is dropped although it answers' : 'a lost instance is dropped';
  log[answered ? 'warn' : 'debug'](message, {
    service,
    instance: instance.id,
    lease: leaseText(lease),
    look: said,
    reason,
  });
  const where = `${instance.id}, lease ${leaseText(lease)}`;
  events.record({ kind: 'lost_dropped', level, service, where, reason: `${reason}; look: ${said}` });
}
