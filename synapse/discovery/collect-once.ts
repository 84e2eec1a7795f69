import type { Log } from '../../common/daemon/log.ts';
import { Catalog } from '../catalog/catalog.ts';
import { type Peeked, peekCache } from '../catalog/state-file.ts';
import type { SynapseConfig } from '../config/config.ts';
import type { Snapshot } from '../output.ts';
import { stateOf } from '../report/state.ts';
import type { SynapseState } from '../report/status-shape.ts';
import { Discoverer } from './discoverer.ts';

/** What the sources say, asked once. */
export interface Collected {
  readonly snapshot: Snapshot;
  /** Services whose source did not answer in time; what is cached of them is in the snapshot. */
  readonly unanswered: readonly string[];
  /** What a synapse that starts now would report of itself, without its outputs. */
  readonly state: SynapseState;
  /** What the state file says; undefined when there is none in the configuration. */
  readonly cache: Peeked | undefined;
}

/**
 * Asks all sources once, as a start of the daemon would, and waits at most `wait` milliseconds for their answers. Reads
 * only: nothing is written, not even a damaged state file moved.
 */
export async function collect(
  config: Pick<SynapseConfig, 'services' | 'etcd' | 'stateFile'>,
  options: { readonly wait: number; readonly log: Log },
): Promise<Collected> {
  const { wait, log } = options;
  const catalog = new Catalog();
  catalog.configure(config.services);
  const cache = config.stateFile && (await peekCache(config.stateFile));
  for (const [name, known] of cache?.services ?? []) catalog.restore(name, known);
  const discoverer = new Discoverer((service, set) => void catalog.update(service, set), { log });
  try {
    discoverer.configure(config.services, config.etcd);
    const unanswered = await discoverer.answers(wait);
    return { snapshot: catalog.snapshot(), unanswered, state: stateOf(catalog, discoverer, null), cache };
  } finally {
    await discoverer.end();
  }
}
