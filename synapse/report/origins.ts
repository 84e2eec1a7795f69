import type { Catalog } from '../catalog/catalog.ts';
import type { Discoverer } from '../discovery/discoverer.ts';
import type { ReportDeps } from './applied-events.ts';
import { recordsOf } from './records.ts';

/** Where the instances of each service came from, for reports. Reads only. */
export function originsIn(
  catalog: Pick<Catalog, 'entry'>,
  discoverer: Pick<Discoverer, 'status'>,
): Pick<ReportDeps, 'origin' | 'records'> {
  return {
    origin(service) {
      const source = discoverer.status(service)?.method;
      const revision = catalog.entry(service)?.set?.revision;
      return { ...(source !== undefined && { source }), ...(revision !== undefined && { revision }) };
    },
    records(service, ids) {
      const entry = catalog.entry(service);
      return recordsOf(entry?.raw, entry?.service.policy.portOverride, ids);
    },
  };
}
