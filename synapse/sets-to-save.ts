import type { Catalog } from './catalog/catalog.ts';
import type { ServiceToSave } from './catalog/state-file.ts';
import type { Discoverer } from './discovery/discoverer.ts';

/** The sets in force, for the state file. */
export function* setsToSave(
  catalog: Catalog,
  discoverer: Pick<Discoverer, 'status'>,
): Iterable<readonly [string, ServiceToSave]> {
  for (const name of catalog.names()) {
    const { lastGood: set, published, kept } = catalog.entry(name) ?? {};
    if (set === undefined) continue;
    const current = discoverer.status(name)?.reason === null;
    yield [name, { set, current, published, kept }];
  }
}
