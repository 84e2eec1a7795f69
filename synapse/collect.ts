import type { Log } from '../common/log.ts';
import { readCache } from './cache.ts';
import { Catalog } from './catalog.ts';
import type { SynapseConfig } from './config.ts';
import { Discoverer } from './discovery.ts';
import type { Snapshot } from './output.ts';

/** What the sources say, asked once. */
export interface Collected<Config> {
  readonly snapshot: Snapshot<Config>;
  /** Services whose source did not answer in time; what is cached of them is in the snapshot. */
  readonly unanswered: readonly string[];
}

/** Asks all sources once, as a start of the daemon would, and waits at most `wait` milliseconds for their answers. */
export async function collect<Config>(
  config: Pick<SynapseConfig<unknown, Config>, 'services' | 'etcd' | 'stateFile'>,
  options: { readonly wait: number; readonly log: Log },
): Promise<Collected<Config>> {
  const { wait, log } = options;
  const catalog = new Catalog<Config>();
  catalog.configure(config.services);
  const cached = config.stateFile && (await readCache({ ...config.stateFile, setAside: false }, { log }));
  for (const [name, known] of cached ?? []) catalog.restore(name, known);
  const discoverer = new Discoverer((service, set) => void catalog.update(service, set), { log });
  try {
    discoverer.configure(config.services, config.etcd);
    const unanswered = await discoverer.answers(wait);
    return { snapshot: catalog.snapshot(), unanswered };
  } finally {
    await discoverer.end();
  }
}
