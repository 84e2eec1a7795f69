import type { Log } from '../../common/daemon/log.ts';
import { counted } from '../../common/wording.ts';
import type { CatalogChange } from '../catalog/catalog.ts';
import { guardedInstances, refusedConfigs } from '../metrics.ts';
import type { Events } from './events.ts';

/** Logs and records what happened to a service's suspects and to its published configuration. */
export function recordCatalogChange(
  { service, suspectsBefore, suspects, newlyRefused }: CatalogChange,
  { log, events }: { readonly log: Log; readonly events: Events },
): void {
  const count = suspects.size;
  if (count > suspectsBefore.size) {
    guardedInstances.inc({ service }, count - suspectsBefore.size);
    log.warn('instances whose leases expired together are kept as suspects', { service, suspects: count });
    const reason = `${counted(count, 'instance')} whose leases expired together are kept as suspects`;
    events.record({ kind: 'guard_in_force', level: 'warn', service, instances: count, reason });
  } else if (count === 0 && suspectsBefore.size > 0) {
    log.info('no suspects are left', { service });
    events.record({ kind: 'guard_lifted', level: 'info', service });
  }
  if (newlyRefused === null) return;
  refusedConfigs.inc({ service });
  log.error('published configuration refused', { service, reason: newlyRefused });
  events.record({ kind: 'published_refused', level: 'error', service, reason: newlyRefused });
}
