import type { Log } from '../common/daemon/log.ts';
import { createEtcdClient } from '../common/etcd/client/client.ts';
import { thisHost } from '../common/host.ts';
import { Catalog } from './catalog/catalog.ts';
import { inspectStateFile, type StateFileContent } from './catalog/state-file.ts';
import type { SynapseConfig } from './config/config.ts';
import { Discoverer } from './discovery/discoverer.ts';
import type { Snapshot } from './output.ts';
import { InstanceReturns } from './report/returns.ts';
import { stateOf } from './report/state.ts';
import type { SynapseState } from './report/status-shape.ts';

/** The answers of all sources to one question, for a command. */
export interface Collected {
  readonly snapshot: Snapshot;
  /** Services whose source did not answer in time; the snapshot has what the state file says of them. */
  readonly unanswered: readonly string[];
  /** What a synapse that starts now would report of itself, without its outputs. */
  readonly state: SynapseState;
  /** What the state file says; undefined when the configuration names none. */
  readonly stateFile: StateFileContent | undefined;
}

/**
 * Asks all sources once, as the daemon does at its start, and waits at most `waitMs` milliseconds for their answers.
 * Reads only: nothing is written, and a damaged state file stays where it is.
 */
export async function collect(
  config: Pick<SynapseConfig, 'services' | 'etcd' | 'stateFile'>,
  options: { readonly waitMs: number; readonly log: Log },
): Promise<Collected> {
  const { waitMs, log } = options;
  const catalog = new Catalog();
  catalog.configure(config.services);
  const stateFile = config.stateFile && (await inspectStateFile(config.stateFile, thisHost.files));
  for (const [name, saved] of stateFile?.services ?? []) catalog.restore(name, saved);
  const discoverer = new Discoverer(
    { onSet: (service, set) => void catalog.update(service, set) },
    { log, openEtcd: createEtcdClient },
  );
  try {
    discoverer.configure(config.services, config.etcd);
    const unanswered = await discoverer.answers(waitMs);
    return {
      snapshot: catalog.snapshot(),
      unanswered,
      state: stateOf(catalog, discoverer, null, { returns: new InstanceReturns() }),
      stateFile,
    };
  } finally {
    await discoverer.end();
  }
}
